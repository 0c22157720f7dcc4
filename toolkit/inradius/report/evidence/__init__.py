"""Evidence: the numbers of a report with what they claim, the conditions they hold under, and how they are made again."""
