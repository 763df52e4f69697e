"""What a saga is: definitions, recorded events, state and decisions. Pure: no I/O, no clock, no dice."""
