// RemBERT (Chung et al., arXiv 2010.12821): embeddings narrower than the hidden state, widened before the
// first layer.
#include "core/arch/text_encoder_families.h"

namespace edgellm {
namespace {

constexpr std::string_view kTypes[] = {"rembert"};
constexpr std::string_view kPrefixes[] = {"", "rembert."};
constexpr EncoderTensorRule kProjection[] = {
    {EncoderTensor::embedding_projection, "encoder.embedding_hidden_mapping_in.weight"},
    {EncoderTensor::embedding_projection_bias, "encoder.embedding_hidden_mapping_in.bias"},
};

}  // namespace

constinit const TextEncoderArchitecture kRemBertEncoder = {
    .name = "rembert",
    .model_types = kTypes,
    .class_prefix = "RemBert",
    .prefixes = kPrefixes,
    .tensors = kPytorchEncoderTensors,
    .projection_tensors = kProjection,
    .embedding_width_key = "input_embedding_size",
};

}  // namespace edgellm
