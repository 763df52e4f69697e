"""What tests of sagas need."""
