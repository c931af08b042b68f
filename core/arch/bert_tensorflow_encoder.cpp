// BERT with the variable names of its first implementation and of BLEURT's (google-research/bert, bleurt),
// whose "gelu" is the tanh approximation.
#include "core/arch/text_encoder_families.h"

namespace edgellm {
namespace {

constexpr std::string_view kTypes[] = {"bert"};
constexpr std::string_view kPrefixes[] = {"bert/", "bleurt/bert/", ""};
constexpr ActivationName kActivations[] = {{"gelu", PointwiseActivation::gelu_tanh}};
constexpr EncoderTensorRule kTensors[] = {
    {EncoderTensor::word_embedding, "embeddings/word_embeddings"},
    {EncoderTensor::position_embedding, "embeddings/position_embeddings"},
    {EncoderTensor::segment_embedding, "embeddings/token_type_embeddings"},
    {EncoderTensor::embedding_norm, "embeddings/LayerNorm/gamma"},
    {EncoderTensor::embedding_norm_bias, "embeddings/LayerNorm/beta"},
    {EncoderTensor::attention_q, "encoder/layer_{}/attention/self/query/kernel"},
    {EncoderTensor::attention_q_bias, "encoder/layer_{}/attention/self/query/bias"},
    {EncoderTensor::attention_k, "encoder/layer_{}/attention/self/key/kernel"},
    {EncoderTensor::attention_k_bias, "encoder/layer_{}/attention/self/key/bias"},
    {EncoderTensor::attention_v, "encoder/layer_{}/attention/self/value/kernel"},
    {EncoderTensor::attention_v_bias, "encoder/layer_{}/attention/self/value/bias"},
    {EncoderTensor::attention_output, "encoder/layer_{}/attention/output/dense/kernel"},
    {EncoderTensor::attention_output_bias, "encoder/layer_{}/attention/output/dense/bias"},
    {EncoderTensor::attention_norm, "encoder/layer_{}/attention/output/LayerNorm/gamma"},
    {EncoderTensor::attention_norm_bias, "encoder/layer_{}/attention/output/LayerNorm/beta"},
    {EncoderTensor::ffn_up, "encoder/layer_{}/intermediate/dense/kernel"},
    {EncoderTensor::ffn_up_bias, "encoder/layer_{}/intermediate/dense/bias"},
    {EncoderTensor::ffn_down, "encoder/layer_{}/output/dense/kernel"},
    {EncoderTensor::ffn_down_bias, "encoder/layer_{}/output/dense/bias"},
    {EncoderTensor::ffn_norm, "encoder/layer_{}/output/LayerNorm/gamma"},
    {EncoderTensor::ffn_norm_bias, "encoder/layer_{}/output/LayerNorm/beta"},
};
constexpr EncoderTensorRule kProjection[] = {
    {EncoderTensor::embedding_projection, "encoder/embedding_hidden_mapping_in/kernel"},
    {EncoderTensor::embedding_projection_bias, "encoder/embedding_hidden_mapping_in/bias"},
};

}  // namespace

constinit const TextEncoderArchitecture kBertTensorFlowEncoder = {
    .name = "bert, TensorFlow's names",
    .model_types = kTypes,
    .class_prefix = "Bert",
    .prefixes = kPrefixes,
    .tensors = kTensors,
    .projection_tensors = kProjection,
    .matrices_are_transposed = true,
    .embedding_width_key = "embedding_size",
    .activations = kActivations,
};

}  // namespace edgellm
