"""What finished runs show: pictures, where transformers look, and measures inside of networks."""
