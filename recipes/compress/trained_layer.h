// One layer of a model that is rounded with feedback, trained on its grid (compress/train/layer_training.h)
// before the next one is rounded.
#pragma once

#include <filesystem>
#include <map>

#include "compress/calibrate/calibration.h"
#include "recipes/compress/compensated_tensors.h"

namespace edgellm {

struct LayerToTrain {
  LayerCalibration& calibration;  // with what was rounded in place, and the original's outputs kept
  const TorchLayer& original;
  const GgufFile& source;
  // What was rounded, by role, as the file has it but for the type; its bytes are in the folder.
  std::map<TensorRole, GgufTensor> rounded;
  // As of CompensationOptions: where the trained tensors go, norms and biases too.
  std::filesystem::path folder;
  size_t n_epochs = 1, n_held_windows = 8;
};

// Where it helps on the windows held back, in the folder and in the calibrated layer is then what was
// trained. Norms and biases that are not F32 stay.
Result<TrainedLayer> train_rounded_layer(const LayerToTrain& layer);

}  // namespace edgellm
