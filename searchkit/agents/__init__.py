"""Tools for agents: searchkit behind the Model Context Protocol."""
