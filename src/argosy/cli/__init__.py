"""The command line: each verb is one module; here entry points only translate."""
