"""When it runs: one file per agent, the app, settings, metrics, the command line."""
