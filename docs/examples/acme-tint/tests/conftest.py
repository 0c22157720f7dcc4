import hypothesis

from inradius.testing import register_profiles

hypothesis.settings.load_profile(register_profiles())
