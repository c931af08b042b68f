#include "core/model_file/safetensors.h"
#include "tests/fuzz/fuzz_input.h"

// Every byte that an accepted file promises can be read.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  const edgellm::MemoryFile file(data, n_bytes);
  const auto model = edgellm::SafetensorsFile::open(file.path());
  if (!model.ok()) return 0;
  unsigned sum = 0;
  for (const auto& tensor : model->tensors()) {
    if (!model->find(tensor.name)) __builtin_trap();
    if (tensor.n_values() * edgellm::value_bytes(tensor.type) != tensor.data.size()) __builtin_trap();
    for (const std::byte value : tensor.data) sum += std::to_integer<unsigned>(value);
  }
  // Never so: only to have the sum used.
  return sum == 0xffffffff ? -1 : 0;
}
