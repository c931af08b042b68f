// BERT (Devlin et al., arXiv 1810.04805), and what was made from it: MiniLM, sentence encoders, BLEURT's
// regression models in Hugging Face's BertForSequenceClassification.
#include "core/arch/text_encoder_families.h"

namespace edgellm {
namespace {

constexpr std::string_view kTypes[] = {"bert"};
constexpr std::string_view kPrefixes[] = {"", "bert.", "bleurt.", "bleurt.bert."};

}  // namespace

constinit const TextEncoderArchitecture kBertEncoder = {
    .name = "bert",
    .model_types = kTypes,
    .class_prefix = "Bert",
    .prefixes = kPrefixes,
    .tensors = kPytorchEncoderTensors,
};

}  // namespace edgellm
