"""What could go wrong on the night, looked at beforehand: each check gives findings, each with its fix. Nothing is changed but a probe object."""
