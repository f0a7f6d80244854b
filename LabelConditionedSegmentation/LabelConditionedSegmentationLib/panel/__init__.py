"""What the user sees: plain Python decides, thin Qt layers show it.

Talks to the worker and the scene in the words of core that load without torch, never to torch.
"""
