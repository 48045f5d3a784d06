"""The inference service: answers from the champion's bundle, whatever else is down."""
