// Exists so that LibTorch's headers are compiled once, for every folder that uses them (edgellm_torch.cmake).
