// Every recipe of this folder in a program without LibTorch. Commands hand over to edgellm-torch before they
// come here (apps/cli/torch_program.h).
#include <nlohmann/json.hpp>

#include "recipes/compress/awq_tensors.h"
#include "recipes/compress/compress.h"
#include "recipes/compress/prune_matrices.h"
#include "recipes/compress/trained_tensors.h"

namespace edgellm {
namespace {

Error not_linked(const char* operation) {
  return Error{std::string(operation) +
               ": this program has no LibTorch; edgellm-torch has (build option EDGELLM_TORCH)"};
}

}  // namespace

bool compress_is_linked() {
  return false;
}

Result<TorchDescription> describe_torch(size_t) {
  return not_linked("describe LibTorch");
}

Status check_torch_device(const std::string&) {
  return not_linked("compute with LibTorch");
}

Result<Compensation> compensate_tensors(std::shared_ptr<const GgufFile>, const QuantizationPlan&,
                                        std::span<const std::vector<Token>>, const CompensationOptions&,
                                        const Progress&) {
  return not_linked("GPTQ");
}

Result<Compensation> awq_tensors(std::shared_ptr<const GgufFile>, const QuantizationPlan&,
                                 std::span<const std::vector<Token>>, const CompensationOptions&,
                                 const Progress&) {
  return not_linked("AWQ");
}

Result<GridTraining> train_tensors(std::shared_ptr<const GgufFile>, const QuantizationPlan&,
                                   std::span<const std::vector<Token>>, const GridTrainingOptions&,
                                   const Progress&) {
  return not_linked("training");
}

Result<nlohmann::json> prune_matrices(const PruneOptions&, const Progress&) {
  return not_linked("prune");
}

}  // namespace edgellm
