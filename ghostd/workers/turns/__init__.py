"""An assistant's turn as a local model writes it: thoughts, text and tool calls in the model's own syntax."""
