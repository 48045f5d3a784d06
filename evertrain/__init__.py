"""evertrain, the library: nouns of continuous training, knowing no Prefect and no FastAPI."""
