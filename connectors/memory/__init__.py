"""Real connectors in RAM: they pass the same contract tests as the others and can be told to misbehave."""
