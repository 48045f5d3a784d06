"""A challenger on its way: what the service reports of it, what follows from that, who walks it on."""
