// The text encoders known, one file each.
#pragma once

#include "core/arch/text_encoder_architecture.h"

namespace edgellm {

extern const TextEncoderArchitecture kBertEncoder;
extern const TextEncoderArchitecture kBertTensorFlowEncoder;
extern const TextEncoderArchitecture kRobertaEncoder;
extern const TextEncoderArchitecture kRemBertEncoder;
extern const TextEncoderArchitecture kBleurtEncoder;

// The names that all families written with PyTorch share.
inline constexpr EncoderTensorRule kPytorchEncoderTensors[] = {
    {EncoderTensor::word_embedding, "embeddings.word_embeddings.weight"},
    {EncoderTensor::position_embedding, "embeddings.position_embeddings.weight"},
    {EncoderTensor::segment_embedding, "embeddings.token_type_embeddings.weight"},
    {EncoderTensor::embedding_norm, "embeddings.LayerNorm.weight", "embeddings.LayerNorm.gamma"},
    {EncoderTensor::embedding_norm_bias, "embeddings.LayerNorm.bias", "embeddings.LayerNorm.beta"},
    {EncoderTensor::attention_q, "encoder.layer.{}.attention.self.query.weight"},
    {EncoderTensor::attention_q_bias, "encoder.layer.{}.attention.self.query.bias"},
    {EncoderTensor::attention_k, "encoder.layer.{}.attention.self.key.weight"},
    {EncoderTensor::attention_k_bias, "encoder.layer.{}.attention.self.key.bias"},
    {EncoderTensor::attention_v, "encoder.layer.{}.attention.self.value.weight"},
    {EncoderTensor::attention_v_bias, "encoder.layer.{}.attention.self.value.bias"},
    {EncoderTensor::attention_output, "encoder.layer.{}.attention.output.dense.weight"},
    {EncoderTensor::attention_output_bias, "encoder.layer.{}.attention.output.dense.bias"},
    {EncoderTensor::attention_norm, "encoder.layer.{}.attention.output.LayerNorm.weight",
     "encoder.layer.{}.attention.output.LayerNorm.gamma"},
    {EncoderTensor::attention_norm_bias, "encoder.layer.{}.attention.output.LayerNorm.bias",
     "encoder.layer.{}.attention.output.LayerNorm.beta"},
    {EncoderTensor::ffn_up, "encoder.layer.{}.intermediate.dense.weight"},
    {EncoderTensor::ffn_up_bias, "encoder.layer.{}.intermediate.dense.bias"},
    {EncoderTensor::ffn_down, "encoder.layer.{}.output.dense.weight"},
    {EncoderTensor::ffn_down_bias, "encoder.layer.{}.output.dense.bias"},
    {EncoderTensor::ffn_norm, "encoder.layer.{}.output.LayerNorm.weight",
     "encoder.layer.{}.output.LayerNorm.gamma"},
    {EncoderTensor::ffn_norm_bias, "encoder.layer.{}.output.LayerNorm.bias",
     "encoder.layer.{}.output.LayerNorm.beta"},
};

}  // namespace edgellm
