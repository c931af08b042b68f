// Writing a model with other block formats, tensor by tensor from the mapped source, and optionally with
// fewer layers.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "core/base/progress.h"
#include "core/base/thread_pool.h"
#include "core/model_file/gguf.h"
#include "core/model_file/importance_matrix.h"
#include "plan/preset.h"
#include "runtime/graph/kv_cache.h"

namespace edgellm {

// general.file_type of a mixture that is no preset; readers show it as "Q4_K - Medium".
inline constexpr uint32_t kMixedFileType = 15;

// Whether a weight matrix can be written in it: Q8_K has an encoder, but only for activations.
bool is_writable(const TensorTypeInfo& type);

// What a quantized file is made of. Tensors that are not named keep the type they have.
struct QuantizationPlan {
  std::map<std::string, TensorType> types;  // by the source's tensor name
  std::set<uint32_t> dropped_layers;        // the rest is renumbered, per-layer metadata arrays too
  uint32_t file_type = 0;                   // general.file_type
  // Of the KV cache that a run should have, told in the file (runtime/graph/kv_cache.h); none: as the source.
  std::optional<KvType> kv_type = {};
};

// Of everything that decides the plan's tensors besides the source.
std::string plan_hash(const QuantizationPlan& plan);
// The plan of a preset for this model. Error for an unknown architecture.
Result<QuantizationPlan> preset_plan(const GgufFile& source, const Preset& preset);
// The tied embedding is the output matrix too.
bool has_tied_embedding(const GgufFile& source);

// Exact bytes of the file the plan gives.
Result<uint64_t> planned_file_bytes(const GgufFile& source, const QuantizationPlan& plan);
// The metadata and tensor table the plan's file has: names renumbered, in the source's order.
struct PlannedFile {
  Metadata metadata;
  std::vector<GgufWriter::Declaration> tensors;
  std::vector<const GgufTensor*> sources;  // of each of them
};
Result<PlannedFile> planned_file(const GgufFile& source, const QuantizationPlan& plan);

// importance may be null. The output must not be the source.
Status quantize_model(const GgufFile& source, const QuantizationPlan& plan,
                      const ImportanceMatrix* importance, const std::filesystem::path& output,
                      ThreadPool& threads, const Progress& progress);

// Weights of a tensor's columns for encoding: its importance, and for a tied embedding half of that and half
// evenly, because its rows are also looked up as they are.
std::vector<float> column_weights(const GgufFile& source, const ImportanceMatrix* importance,
                                  const GgufTensor& tensor);

}  // namespace edgellm
