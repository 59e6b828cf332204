"""The parts of the typing replay: who types, who answers, and the editors between them."""
