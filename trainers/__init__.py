"""How each stage of distilled self-supervision on surgical video is computed."""
