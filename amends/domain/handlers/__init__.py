"""Process managers in the event-handler style: state, handlers, and what they decide."""
