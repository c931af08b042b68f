// BLEURT checkpoints (Sellam et al., arXiv 2004.04696) as the package bleurt-pytorch writes them: BERT, or
// for BLEURT-20 and its distillates RemBERT, whose narrow embeddings "embedding_size" tells.
#include "core/arch/text_encoder_families.h"

namespace edgellm {
namespace {

constexpr std::string_view kTypes[] = {"bleurt"};
constexpr std::string_view kPrefixes[] = {"bleurt.", "", "bleurt.bert.", "bert."};
constexpr EncoderTensorRule kProjection[] = {
    {EncoderTensor::embedding_projection, "encoder.embedding_projection.weight"},
    {EncoderTensor::embedding_projection_bias, "encoder.embedding_projection.bias"},
};

}  // namespace

constinit const TextEncoderArchitecture kBleurtEncoder = {
    .name = "bleurt",
    .model_types = kTypes,
    .class_prefix = "Bleurt",
    .prefixes = kPrefixes,
    .tensors = kPytorchEncoderTensors,
    .projection_tensors = kProjection,
    .embedding_width_key = "embedding_size",
};

}  // namespace edgellm
