"""Mail handed to the sendmail command of this machine."""
