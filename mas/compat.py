"""Dense paths, as existing trainers ask for them. Written next."""
