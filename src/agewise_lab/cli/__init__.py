"""The laboratory's command line, one thin file a group."""
