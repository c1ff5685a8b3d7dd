"""How many requests a principal may send: the policies, where requests are counted, and the one who asks there."""
