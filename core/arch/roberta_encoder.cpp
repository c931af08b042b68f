// RoBERTa (Liu et al., arXiv 1907.11692) and its multilingual and French descendants: BERT's graph, positions
// counted from the padding id + 1.
#include "core/arch/text_encoder_families.h"

namespace edgellm {
namespace {

constexpr std::string_view kTypes[] = {"roberta", "xlm-roberta", "camembert"};
constexpr std::string_view kPrefixes[] = {"", "roberta."};

}  // namespace

constinit const TextEncoderArchitecture kRobertaEncoder = {
    .name = "roberta",
    .model_types = kTypes,
    .class_prefix = "Roberta",
    .prefixes = kPrefixes,
    .tensors = kPytorchEncoderTensors,
    .positions_follow_padding = true,
};

}  // namespace edgellm
