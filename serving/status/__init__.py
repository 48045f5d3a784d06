"""The status page: what a service answers with, how it fared in the last half hour, and who decided it."""
