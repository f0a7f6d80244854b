"""What the user sees: plain Python decides, thin Qt layers show it.

Talks to the worker and the scene, never to torch.
"""
