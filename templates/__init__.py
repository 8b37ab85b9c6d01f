"""Every sentence the agent says, as Jinja2 templates, and the target repository to try it on."""
