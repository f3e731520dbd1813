"""Rules that are seen to hold on a running platform. Each gives a sentence for every breach of it."""
