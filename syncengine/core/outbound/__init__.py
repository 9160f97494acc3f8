"""What leaves: pure decisions about requests, and what a message or number becomes before it leaves."""
