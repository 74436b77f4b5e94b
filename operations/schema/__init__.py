"""The verb that shows, checks and changes what a person is."""
