// Text encoders against what the transformers package computes with the same weights
// (tests/data/encoders/make_tiny_encoders.py), and the folders and inputs that are refused.
#include "runtime/graph/encoder.h"

#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <random>

#include "core/base/interrupt.h"
#include "core/base/temporary_folder.h"
#include "core/base/test_folders.h"
#include "runtime/backends/cpu/cpu_backend.h"

namespace edgellm {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

fs::path tiny_folder(const std::string& name) {
  return source_folder() / "tests" / "data" / "encoders" / name;
}

json read_json(const fs::path& path) {
  std::ifstream in(path);
  return json::parse(in);
}

std::unique_ptr<TextEncoder> load(const fs::path& folder, const Kernels& table = kernels()) {
  auto encoder = Encoder::load(folder, std::make_unique<CpuBackend>(2, table, true));
  if (encoder.ok()) return std::move(encoder).value();
  ADD_FAILURE() << encoder.error().message;
  return nullptr;
}

struct Sequence {
  std::vector<int32_t> ids, segments;
  std::vector<std::vector<float>> layers;  // [n_layers + 1][tokens * hidden]
};

std::vector<Sequence> expected_of(const std::string& name) {
  std::vector<Sequence> sequences;
  const json expected = read_json(tiny_folder(name) / "expected.json");
  for (const json& each : expected["cases"])
    sequences.push_back({each["ids"], each["segments"], each["layers"]});
  return sequences;
}

std::vector<float> encode(TextEncoder& encoder, const std::vector<Sequence>& sequences, size_t layer) {
  std::vector<TextEncoderInput> inputs;
  for (const Sequence& each : sequences) inputs.push_back({each.ids, each.segments});
  std::vector<float> out;
  Status status = encoder.encode(inputs, layer, out);
  EXPECT_TRUE(status.ok()) << status.error().message;
  return out;
}

class TinyEncoder : public testing::TestWithParam<const char*> {};

TEST_P(TinyEncoder, GivesTheReferencesHiddenStatesAfterEveryLayer) {
  std::vector<Sequence> sequences = expected_of(GetParam());
  for (const Kernels* table : usable_kernels()) {
    SCOPED_TRACE(table->name);
    auto encoder = load(tiny_folder(GetParam()), *table);
    ASSERT_TRUE(encoder);
    ASSERT_EQ(encoder->n_layers() + 1, sequences.front().layers.size());
    for (size_t layer = 0; layer <= encoder->n_layers(); ++layer) {
      std::vector<float> wanted;
      for (const Sequence& each : sequences)
        wanted.insert(wanted.end(), each.layers[layer].begin(), each.layers[layer].end());
      std::vector<float> got = encode(*encoder, sequences, layer);
      ASSERT_EQ(got.size(), wanted.size());
      for (size_t i = 0; i < got.size(); ++i)
        ASSERT_NEAR(got[i], wanted[i], 1e-5 * (1 + std::fabs(wanted[i])))
            << "layer " << layer << " value " << i;
    }
  }
}

// More sequences than one batch takes, in two orders and one by one.
TEST_P(TinyEncoder, GivesASequenceTheSameValuesWhateverStandsBesideIt) {
  auto encoder = load(tiny_folder(GetParam()));
  ASSERT_TRUE(encoder);
  std::vector<Sequence> sequences;
  for (int i = 0; i < 25; ++i)
    for (Sequence& each : expected_of(GetParam())) sequences.push_back(std::move(each));
  const size_t layer = encoder->n_layers();
  std::vector<float> together = encode(*encoder, sequences, layer);
  size_t at = 0;
  for (const Sequence& each : sequences) {
    std::vector<float> alone = encode(*encoder, {each}, layer);
    ASSERT_EQ(std::vector<float>(together.begin() + long(at), together.begin() + long(at + alone.size())),
              alone);
    at += alone.size();
  }
  EXPECT_EQ(at, together.size());
}

INSTANTIATE_TEST_SUITE_P(Layouts, TinyEncoder,
                         testing::Values("tiny_bert", "tiny_bert_tensorflow", "tiny_roberta", "tiny_rembert",
                                         "tiny_bleurt"),
                         [](const auto& info) { return std::string(info.param); });

TEST(Encoder, TellsItsSizes) {
  auto bert = load(tiny_folder("tiny_bert")), roberta = load(tiny_folder("tiny_roberta"));
  ASSERT_TRUE(bert && roberta);
  EXPECT_EQ(bert->n_layers(), 2u);
  EXPECT_EQ(bert->n_embedding(), 20u);
  EXPECT_EQ(bert->most_tokens(), 40u);
  EXPECT_EQ(roberta->most_tokens(), 38u) << "two positions come before the first token";
}

TEST(Encoder, TakesSegmentsLeftOutForTheFirst) {
  auto encoder = load(tiny_folder("tiny_bert"));
  ASSERT_TRUE(encoder);
  Sequence with{{3, 4, 5}, {0, 0, 0}, {}}, without{{3, 4, 5}, {}, {}};
  EXPECT_EQ(encode(*encoder, {with}, 2), encode(*encoder, {without}, 2));
}

TEST(Encoder, EncodesNothingToNothing) {
  auto encoder = load(tiny_folder("tiny_bert"));
  ASSERT_TRUE(encoder);
  std::vector<float> out(7);
  ASSERT_TRUE(encoder->encode({}, 1, out).ok());
  EXPECT_TRUE(out.empty());
}

TEST(Encoder, RefusesInputsThatItHasNoValuesFor) {
  auto encoder = load(tiny_folder("tiny_bert"));
  ASSERT_TRUE(encoder);
  const std::vector<int32_t> good = {1, 2}, beyond = {1, 37}, negative = {-1}, none, third = {0, 2},
                             one = {0};
  const std::vector<int32_t> long_one(41, 5);
  struct Case {
    TextEncoderInput input;
    size_t layer;
    const char* message;
  };
  const Case cases[] = {
      {{good, {}}, 3, "cannot encode up to layer 3: the encoder has 2"},
      {{none, {}}, 1, "cannot encode sequence 1: it has no tokens"},
      {{long_one, {}}, 1, "cannot encode sequence 1: it has 41 tokens, the encoder takes 40"},
      {{beyond, {}}, 1, "cannot encode sequence 1: token 37 is outside the vocabulary of 37"},
      {{negative, {}}, 1, "cannot encode sequence 1: token -1 is outside the vocabulary of 37"},
      {{good, one}, 1, "cannot encode sequence 1: it has 1 segment numbers for 2 tokens"},
      {{good, third}, 1, "cannot encode sequence 1: segment 2 is outside the encoder's 2"},
  };
  for (const Case& each : cases) {
    std::vector<float> out;
    const TextEncoderInput inputs[] = {{good, {}}, each.input};
    Status status = encoder->encode(inputs, each.layer, out);
    ASSERT_FALSE(status.ok()) << each.message;
    EXPECT_EQ(status.error().message, each.message);
  }
}

TEST(Encoder, StopsWhenInterrupted) {
  auto encoder = load(tiny_folder("tiny_bert"));
  ASSERT_TRUE(encoder);
  request_interrupt();
  std::vector<float> out;
  const std::vector<int32_t> ids = {1, 2};
  const TextEncoderInput inputs[] = {{ids, {}}};
  Status status = encoder->encode(inputs, 2, out);
  clear_interrupt();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "interrupted");
}

// A copy of tiny_bert that a test damages.
class DamagedFolder : public testing::Test {
 protected:
  void SetUp() override { copy("tiny_bert"); }

  void copy(const std::string& name) {
    for (const auto& entry : fs::directory_iterator(tiny_folder(name)))
      fs::copy_file(entry.path(), folder_ / entry.path().filename(), fs::copy_options::overwrite_existing);
  }
  void change_config(const std::string& key, const json& value) {
    json config = read_json(folder_ / "config.json");
    if (value.is_null())
      config.erase(key);
    else
      config[key] = value;
    std::ofstream(folder_ / "config.json") << config;
  }
  // Writes the tensors anew as `change` leaves them; false leaves one out.
  template <class Change>
  void change_tensors(Change change) {
    std::vector<SafetensorsWriter::Declaration> declarations;
    std::vector<std::vector<std::byte>> data;
    {
      auto file = SafetensorsFile::open(folder_ / "model.safetensors");
      ASSERT_TRUE(file.ok());
      for (const SafetensorsTensor& tensor : file->tensors()) {
        SafetensorsWriter::Declaration declaration{tensor.name, tensor.type, tensor.shape};
        if (!change(declaration)) continue;
        declarations.push_back(declaration);
        data.emplace_back(tensor.data.begin(), tensor.data.end());
      }
    }
    auto writer = SafetensorsWriter::create(folder_, declarations);
    ASSERT_TRUE(writer.ok());
    for (const auto& bytes : data) ASSERT_TRUE(writer->write(bytes).ok());
    ASSERT_TRUE(writer->commit().ok());
  }
  void expect_refused(const std::string& why) {
    auto encoder = Encoder::load(folder_, EncoderOptions{1});
    ASSERT_FALSE(encoder.ok()) << "loads, but " << why;
    const std::string& message = encoder.error().message;
    EXPECT_NE(message.find(why), std::string::npos) << message;
    EXPECT_NE(message.find(folder_.path().string()), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }

  TemporaryFolder folder_ = *TemporaryFolder::create("encoder");
};

TEST_F(DamagedFolder, OfAnUnknownKindIsRefusedWithTheKnownOnes) {
  change_config("model_type", "deberta-v2");
  expect_refused(
      "config.json names the kind 'deberta-v2', which is no text encoder known here (bert, roberta, "
      "xlm-roberta, camembert, rembert, bleurt)");
}

TEST_F(DamagedFolder, WithoutAModelTypeIsKnownByItsClassOrItsTensors) {
  change_config("model_type", nullptr);
  EXPECT_TRUE(load(folder_));
  change_config("architectures", json::array({"BertForMaskedLM"}));
  EXPECT_TRUE(load(folder_));
  change_config("architectures", json::array({"T5Model"}));
  expect_refused("config.json names the kind 'T5Model'");
}

TEST_F(DamagedFolder, WithoutConfigIsRefused) {
  fs::remove(folder_ / "config.json");
  expect_refused("config.json");
}

TEST_F(DamagedFolder, WithBrokenConfigIsRefused) {
  std::ofstream(folder_ / "config.json") << "{\"model_type\": ";
  expect_refused("config.json: it is no JSON object");
}

TEST_F(DamagedFolder, WithoutWeightsIsRefused) {
  fs::remove(folder_ / "model.safetensors");
  expect_refused("it has neither model.safetensors nor model.safetensors.index.json");
}

TEST_F(DamagedFolder, WithPytorchWeightsOnlyIsToldHowToConvertThem) {
  fs::rename(folder_ / "model.safetensors", folder_ / "pytorch_model.bin");
  expect_refused("it has pytorch_model.bin but no model.safetensors; convert it with python3");
}

TEST_F(DamagedFolder, WithACutFileIsRefused) {
  fs::resize_file(folder_ / "model.safetensors", fs::file_size(folder_ / "model.safetensors") / 2);
  expect_refused("model.safetensors");
}

TEST_F(DamagedFolder, WithoutOneFileOfSeveralIsRefused) {
  fs::remove(folder_ / "model.safetensors");
  copy("tiny_roberta");
  EXPECT_TRUE(load(folder_));
  fs::remove(folder_ / "model-00002-of-00002.safetensors");
  expect_refused("model-00002-of-00002.safetensors");
}

TEST_F(DamagedFolder, WithATensorMissingIsRefused) {
  const std::string name = "bert.encoder.layer.1.output.dense.bias";
  change_tensors([&](const auto& tensor) { return tensor.name != name; });
  expect_refused("tensor '" + name + "' is missing");
}

TEST_F(DamagedFolder, WithoutWordEmbeddingIsRefusedWithTheNamesTried) {
  change_tensors(
      [&](const auto& tensor) { return tensor.name.find("word_embeddings") == std::string::npos; });
  expect_refused("no word embedding for the kind bert, wanted 'embeddings.word_embeddings.weight' or 'bert.");
}

TEST_F(DamagedFolder, WithATensorOfAnotherShapeIsRefused) {
  change_tensors([&](auto& tensor) {
    if (tensor.name == "bert.encoder.layer.0.intermediate.dense.weight") tensor.shape = {20, 36};
    return true;
  });
  expect_refused(
      "tensor 'bert.encoder.layer.0.intermediate.dense.weight' has the shape [20, 36], config.json "
      "wants [36, 20]");
}

TEST_F(DamagedFolder, WithATensorOfIntegersIsRefused) {
  change_tensors([&](auto& tensor) {
    if (tensor.name == "bert.embeddings.position_embeddings.weight") tensor.type = SafetensorsType::I32;
    return true;
  });
  expect_refused("is of type I32, wanted F32, F16 or BF16");
}

TEST_F(DamagedFolder, WithNumbersThatFitNoEncoderIsRefused) {
  struct Case {
    const char* key;
    json value;
    const char* message;
  };
  const Case cases[] = {
      {"hidden_size", nullptr, "config.json: 'hidden_size' is missing"},
      {"hidden_size", "20", "config.json: 'hidden_size' is \"20\", wanted 1 to"},
      {"num_hidden_layers", 0, "config.json: 'num_hidden_layers' is 0, wanted 1 to"},
      {"num_hidden_layers", 3, "tensor 'bert.encoder.layer.2.attention.self.query.weight' is missing"},
      {"num_attention_heads", 3, "config.json: 'num_attention_heads' is 3, wanted a divisor of the 20"},
      {"vocab_size", -1, "config.json: 'vocab_size' is -1, wanted 1 to"},
      {"vocab_size", 1e30, "config.json: 'vocab_size' is 1e+30, wanted 1 to"},
      {"max_position_embeddings", 41, "has the shape [40, 20], config.json wants [41, 20]"},
      {"hidden_act", "swish", "config.json: 'hidden_act' is 'swish', wanted one of gelu,"},
      {"layer_norm_eps", "small", "config.json: 'layer_norm_eps' is \"small\", wanted 0 to 1"},
      {"position_embedding_type", "relative_key", "wanted \"absolute\""},
      {"is_decoder", true, "config.json: 'is_decoder' is true"},
  };
  for (const Case& each : cases) {
    copy("tiny_bert");
    change_config(each.key, each.value);
    expect_refused(each.message);
  }
  copy("tiny_rembert");
  change_config("model_type", "bert");
  expect_refused("config.json wants");
}

class GoldenEncoder : public testing::Test {
 protected:
  void open(const fs::path& folder, const fs::path& golden) {
    if (!fs::exists(folder / "model.safetensors")) GTEST_SKIP() << "no encoder in " << folder;
    if (!fs::exists(golden)) GTEST_SKIP() << "no golden at " << golden;
    encoder_ = load(folder);
    golden_ = read_json(golden);
  }
  std::vector<float> states(const std::vector<int32_t>& ids, const std::vector<int32_t>& segments,
                            size_t layer) {
    return encode(*encoder_, {{ids, segments, {}}}, layer);
  }
  void expect_first_values(const json& wanted, const std::vector<float>& got) {
    ASSERT_EQ(got.size(), wanted.size() * encoder_->n_embedding());
    for (size_t token = 0; token < wanted.size(); ++token)
      for (size_t d = 0; d < wanted[token].size(); ++d)
        ASSERT_NEAR(got[token * encoder_->n_embedding() + d], wanted[token][d].get<double>(), 1e-5)
            << "token " << token << " value " << d;
  }
  std::unique_ptr<TextEncoder> encoder_;
  json golden_;
};

TEST_F(GoldenEncoder, MiniLmGivesTheHiddenStatesOfBertScore) {
  open(models_folder() / "all-MiniLM-L6-v2", shared_folder() / "golden" / "bertscore_minilm_detail.json");
  if (IsSkipped()) return;
  for (const json& pair : golden_) {
    std::vector<float> reference = states(pair["ref_ids"], {}, pair["num_layers"]),
                       candidate = states(pair["cand_ids"], {}, pair["num_layers"]);
    expect_first_values(pair["ref_hidden_first8"], reference);
    const size_t n = encoder_->n_embedding();
    auto norm = [&](const std::vector<float>& states, size_t token) {
      double squares = 0;
      for (size_t d = 0; d < n; ++d) squares += double(states[token * n + d]) * states[token * n + d];
      return std::sqrt(squares);
    };
    for (size_t i = 0; i < pair["ref_hidden_norm"].size(); ++i)
      EXPECT_NEAR(norm(reference, i) / pair["ref_hidden_norm"][i].get<double>(), 1, 1e-5);
    for (size_t i = 0; i < pair["cand_hidden_norm"].size(); ++i)
      EXPECT_NEAR(norm(candidate, i) / pair["cand_hidden_norm"][i].get<double>(), 1, 1e-5);
    for (size_t i = 0; i < pair["cosine_cand_by_ref"].size(); ++i) {
      for (size_t j = 0; j < pair["cosine_cand_by_ref"][i].size(); ++j) {
        double dot = 0;
        for (size_t d = 0; d < n; ++d) dot += double(candidate[i * n + d]) * reference[j * n + d];
        ASSERT_NEAR(dot / norm(candidate, i) / norm(reference, j),
                    pair["cosine_cand_by_ref"][i][j].get<double>(), 2e-6);
      }
    }
  }
}

TEST_F(GoldenEncoder, BleurtsTensorFlowCheckpointGivesItsHiddenStates) {
  const fs::path folder = shared_folder() / "golden" / "bleurt_synth";
  open(folder, folder / "bleurt_synth_detail.json");
  if (IsSkipped()) return;
  std::ifstream items(folder / "bleurt_synth.jsonl");
  bool found = false;
  for (std::string line; std::getline(items, line);) {
    json item = json::parse(line);
    if (item["reference"] != golden_["reference"] || item["candidate"] != golden_["candidate"]) continue;
    found = true;
    expect_first_values(golden_["embedding_output_first8"],
                        states(item["input_ids"], item["segment_ids"], 0));
    for (size_t i = 0; i < golden_["layer_outputs_first8"].size(); ++i)
      expect_first_values(golden_["layer_outputs_first8"][i],
                          states(item["input_ids"], item["segment_ids"], i + 1));
  }
  EXPECT_TRUE(found);
}

}  // namespace
}  // namespace edgellm
