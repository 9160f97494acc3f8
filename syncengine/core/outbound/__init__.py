"""What leaves, and by which way: pure decisions about requests, messages and the answers of servers (OUT-1, OUT-2)."""
