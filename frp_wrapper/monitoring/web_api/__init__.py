"""What `MonitoringDashboard` is made of: an ASGI application, what it shows, and the server that runs it."""
