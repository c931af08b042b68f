#include "recipes/compress/prune_matrices.h"

#include <nlohmann/json.hpp>

#include "compress/torch_model/torch_call.h"
#include "compress/torch_model/torch_threads.h"
#include "recipes/compress/prune_steps.h"
#include "recipes/tensor_encoding.h"

namespace edgellm {
namespace {

Result<nlohmann::json> run(const PruneOptions& options, const Progress& progress) {
  EDGELLM_ASSIGN_OR_RETURN(auto pruned, PrunedModel::open(options, progress));
  ThreadPool threads(options.n_threads);
  EditStore store(pruned->folder(), threads);
  ModelEdit edit;
  nlohmann::json found;
  PruneStep step = {options, *pruned, store, edit, found, progress};
  if (options.method == PruneMethod::replace_me)
    EDGELLM_RETURN_IF_ERROR(prune_and_replace(step));
  else if (options.method == PruneMethod::ffn_width)
    EDGELLM_RETURN_IF_ERROR(prune_ffn_channels(step));
  else
    EDGELLM_RETURN_IF_ERROR(prune_single_weights(step));
  PruneCost cost;
  if (!options.dry_run) {
    EDGELLM_RETURN_IF_ERROR(write_edited_model(*pruned->source(), edit, options.output, progress));
    EDGELLM_ASSIGN_OR_RETURN(cost, pruned->judge_file(options.output, progress));
  }
  nlohmann::json report = pruned->begin_report(options, cost);
  if (options.dry_run) report["after"] = nlohmann::json::object();
  EDGELLM_ASSIGN_OR_RETURN(report["after"]["file_bytes"], edited_file_bytes(*pruned->source(), edit));
  report.update(found);
  return report;
}

}  // namespace

Result<nlohmann::json> prune_matrices(const PruneOptions& options, const Progress& progress) {
  set_torch_threads(options.n_threads);
  return torch_call("prune", [&] { return run(options, progress); });
}

at::Tensor decoded(const GgufTensor& tensor) {
  at::Tensor values = at::empty({int64_t(tensor.n_rows()), int64_t(tensor.n_columns())}, at::kFloat);
  decode_rows(tensor, 0, tensor.n_rows(), values.data_ptr<float>());
  return values;
}

}  // namespace edgellm
