"""Where API keys lie: the system's keyring, the environment, or a command that prints one."""
