"""What turns a message or a timer into decisions and commands: routing, the batch engine, the worker."""
