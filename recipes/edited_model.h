// Writing a model some of whose tensors were replaced, narrowed or left out with their layers; all others are
// copied as they are.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/base/progress.h"
#include "core/model_file/gguf.h"

namespace edgellm {

struct EditedTensor {
  TensorType type = TensorType::F32;
  std::vector<uint64_t> dimensions;  // innermost first
  std::span<const std::byte> data;
};

struct ModelEdit {
  std::map<std::string, EditedTensor> tensors;  // by the source's tensor name
  std::set<uint32_t> dropped_layers;
  std::set<uint32_t> dropped_attention;  // of layers that stay
  std::vector<uint32_t> n_feed_forward;  // of every layer of the source; empty: as they are
  uint64_t n_pruned_weights = 0;         // of the tensors, told in the file (recipes/pruned_weights.h)
};

// A file whose layers differ in shape, in width or because some have no attention, is of the architecture
// deci (core/arch/llama.cpp), the one for which stock llama.cpp reads the shape of each layer. Families that
// compute as it does are rewritten: llama, and qwen2 with the rows of q and k in the other order of rotated
// pairs. Error for other families, for one whose layers cannot be left out, and where the first layer that
// stays would be without attention.
Result<uint64_t> edited_file_bytes(const GgufFile& source, const ModelEdit& edit);
Status write_edited_model(const GgufFile& source, const ModelEdit& edit, const std::filesystem::path& output,
                          const Progress& progress);

}  // namespace edgellm
