"""The stories: what each CNI command does, one verb a file."""
