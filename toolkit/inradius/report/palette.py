"""One colour and one word for each status, in figures and on the page."""

# Okabe and Ito's colours, which people who do not see red and green apart can tell
COLOURS = {
    "certified": "#009e73",
    "undecided": "#e69f00",
    "within_rounding": "#f0e442",
    "attacked": "#d55e00",
    "wrong": "#7a7a7a",
}
WORDS = {
    "certified": "certified",
    "undecided": "undecided",
    "within_rounding": "within rounding",
    "attacked": "broken by an attack",
    "wrong": "misclassified",
}
