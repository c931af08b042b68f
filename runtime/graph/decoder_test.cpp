// The graph against a plain double-precision reference (tiny_model.h), and what can be changed in it at run
// time.
#include "runtime/graph/decoder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "runtime/graph/tiny_model.h"

namespace edgellm {
namespace {

using tiny::Shape;

std::vector<Token> random_tokens(size_t n, uint32_t n_vocabulary, uint32_t seed = 7) {
  std::mt19937 random(seed);
  std::vector<Token> tokens(n);
  for (Token& t : tokens) t = Token(random() % n_vocabulary);
  return tokens;
}

using Logits = std::vector<std::vector<float>>;

LogitsSink collect_into(Logits& rows) {
  return [&rows](size_t, std::span<const float> row) {
    rows.emplace_back(row.begin(), row.end());
    return Status();
  };
}

std::unique_ptr<Decoder> load(const std::shared_ptr<const GgufFile>& file, size_t n_batch = 8,
                              size_t n_threads = 2) {
  auto decoder = Decoder::load(file, {.n_threads = n_threads, .n_batch = n_batch, .n_logit_rows = 3});
  if (!decoder.ok()) {
    ADD_FAILURE() << decoder.error().message;
    return nullptr;
  }
  return std::move(decoder).value();
}

KvCache cache_for(const Decoder& decoder, size_t n_context = 64, KvType type = KvType::f16) {
  return KvCache::create(decoder.hyperparameters(), type, n_context, decoder.options().n_batch).value();
}

Logits evaluate(Decoder& decoder, KvCache& cache, const std::vector<Token>& tokens, size_t first_row = 0) {
  Logits rows;
  Status status = decoder.evaluate(tokens, cache, first_row, collect_into(rows));
  EXPECT_TRUE(status.ok()) << status.error().message;
  return rows;
}

template <class Row>
void expect_near(const Logits& got, const std::vector<Row>& wanted, double tolerance) {
  ASSERT_EQ(got.size(), wanted.size());
  double worst = 0, scale = 0;
  for (size_t t = 0; t < got.size(); ++t)
    for (size_t i = 0; i < got[t].size(); ++i) {
      worst = std::max(worst, std::abs(double(got[t][i]) - double(wanted[t][i])));
      scale = std::max(scale, std::abs(double(wanted[t][i])));
    }
  EXPECT_LE(worst, tolerance * scale);
  EXPECT_GT(scale, 0);
}

void expect_equals_reference(const Shape& shape, double tolerance, KvType kv = KvType::f16,
                             double linear_factor = 1) {
  auto file = tiny::open(shape);
  ASSERT_TRUE(file);
  auto decoder = load(file);
  ASSERT_TRUE(decoder);
  auto tokens = random_tokens(40, shape.n_vocabulary);
  KvCache cache = cache_for(*decoder, 64, kv);
  tiny::Reference reference(*file);
  reference.q8_0_cache = kv == KvType::q8_0;
  reference.linear_factor = linear_factor;
  expect_near(evaluate(*decoder, cache, tokens), reference.logits(tokens), tolerance);
}

const Shape kLlama = {.family = "llama"};
const Shape kQwen2 = {.family = "qwen2", .biases = true};
const Shape kGemma3 = {.family = "gemma3", .n_layers = 7, .n_kv_heads = 1, .sliding_window = 9};

TEST(Decoder, LlamaEqualsTheReference) {
  expect_equals_reference(kLlama, 1e-3);
}
TEST(Decoder, Qwen2WithBiasesEqualsTheReference) {
  expect_equals_reference(kQwen2, 1e-3);
}
TEST(Decoder, Gemma3WithSlidingWindowEqualsTheReference) {
  expect_equals_reference(kGemma3, 2e-3);
}

TEST(Decoder, UntiedHeadEqualsTheReference) {
  Shape shape = kLlama;
  shape.tied = false;
  expect_equals_reference(shape, 1e-3);
}

TEST(Decoder, RopeFactorsEqualTheReference) {
  Shape shape = kLlama;
  shape.rope_factors = true;
  expect_equals_reference(shape, 1e-3);
}

TEST(Decoder, LinearRopeScalingEqualsTheReference) {
  Shape shape = kQwen2;
  shape.rope_scaling = "linear";
  expect_equals_reference(shape, 1e-3, KvType::f16, 4);
}

TEST(Decoder, FeedForwardWidthsMayDifferByLayer) {
  Shape shape = kLlama;
  shape.n_feed_forward = {96, 32, 160};
  expect_equals_reference(shape, 1e-3);
}

TEST(Decoder, CacheOfQ8EqualsTheReference) {
  expect_equals_reference(kQwen2, 2e-2, KvType::q8_0);
}

TEST(Decoder, HalfWeightsEqualTheReference) {
  Shape shape = kLlama;
  shape.type = TensorType::F16;
  expect_equals_reference(shape, 1e-3);
}

TEST(Decoder, QuantizedWeightsStayNearTheReference) {
  Shape shape = kQwen2;
  shape.type = TensorType::Q8_0;
  expect_equals_reference(shape, 4e-2);
}

TEST(Decoder, BatchesGiveWhatSingleTokensGive) {
  for (const Shape& shape : {kLlama, kQwen2, kGemma3}) {
    auto file = tiny::open(shape);
    auto batched = load(file, 16), single = load(file, 1, 1);
    auto tokens = random_tokens(41, shape.n_vocabulary);
    KvCache a = cache_for(*batched), b = cache_for(*single);
    Logits together = evaluate(*batched, a, tokens), apart;
    for (Token token : tokens) {
      auto row = single->logits_after({&token, 1}, b);
      ASSERT_TRUE(row.ok());
      apart.emplace_back(row->begin(), row->end());
    }
    expect_near(together, apart, 2e-3);
  }
}

// Sequences of several lengths, one of which joins late and one of which ends early.
TEST(Decoder, SequencesTogetherGiveExactlyWhatEachGivesAlone) {
  for (Shape shape : {kLlama, kQwen2, kGemma3})
    for (TensorType type : {TensorType::F16, TensorType::Q8_0, TensorType::Q4_0}) {
      shape.type = type;
      auto file = tiny::open(shape);
      auto decoder = Decoder::load(file, {.n_threads = 2, .n_batch = 16, .batch_invariant = true});
      ASSERT_TRUE(decoder.ok());
      constexpr size_t kSequences = 11, kSteps = 20;
      auto prompt_of = [&](size_t i) { return random_tokens(3 + 2 * i, shape.n_vocabulary, uint32_t(i)); };
      auto steps_of = [&](size_t i) { return random_tokens(kSteps, shape.n_vocabulary, uint32_t(100 + i)); };
      std::vector<Logits> alone(kSequences), together(kSequences);
      std::vector<KvCache> caches;
      for (size_t i = 0; i < kSequences; ++i) {
        KvCache cache = cache_for(**decoder);
        evaluate(**decoder, cache, prompt_of(i), prompt_of(i).size());
        for (Token token : steps_of(i)) alone[i].push_back(evaluate(**decoder, cache, {token})[0]);
        caches.push_back(cache_for(**decoder));
        evaluate(**decoder, caches.back(), prompt_of(i), prompt_of(i).size());
      }
      for (size_t step = 0; step < kSteps; ++step) {
        std::vector<SequenceStep> steps;
        std::vector<size_t> numbers;
        for (size_t i = 0; i < kSequences; ++i) {
          if ((i == 2 && step >= 5) || (i == 4 && step < 7)) continue;
          numbers.push_back(i);
          steps.push_back({steps_of(i)[together[i].size()], &caches[i]});
        }
        ASSERT_TRUE((*decoder)
                        ->evaluate_together(steps,
                                            [&](size_t n, std::span<const float> logits) {
                                              together[numbers[n]].emplace_back(logits.begin(), logits.end());
                                              return Status();
                                            })
                        .ok());
      }
      EXPECT_EQ(together[2].size(), 5u);
      EXPECT_EQ(together[4].size(), kSteps - 7);
      for (size_t i = 0; i < kSequences; ++i)
        for (size_t step = 0; step < together[i].size(); ++step)
          ASSERT_EQ(together[i][step], alone[i][step])
              << shape.family << " sequence " << i << " step " << step;
    }
}

TEST(Decoder, SequencesTogetherAreRefusedBeforeAnyCacheChanges) {
  auto decoder = load(tiny::open(kLlama), 2);
  KvCache a = cache_for(*decoder), full = cache_for(*decoder, 1);
  SequenceSink sink = [](size_t, std::span<const float>) { return Status(); };
  evaluate(*decoder, full, {1});
  std::vector<SequenceStep> too_many = {{1, &a}, {2, &a}, {3, &a}}, no_token = {{1, &a}, {-1, &a}},
                            no_room = {{1, &a}, {1, &full}};
  for (const auto& steps : {too_many, no_token, no_room}) {
    EXPECT_FALSE(decoder->evaluate_together(steps, sink).ok());
    EXPECT_EQ(a.n_positions(), 0u);
  }
}

TEST(Decoder, SlidingLayersForgetWhatTheirWindowHasPassed) {
  // The context is far longer than window and slack, so the rows are moved down several times.
  auto file = tiny::open(kGemma3);
  auto decoder = load(file, 16);
  auto tokens = random_tokens(400, kGemma3.n_vocabulary);
  KvCache cache = cache_for(*decoder, 512);
  EXPECT_LT(cache.n_bytes(), 512u * 7 * 2 * 32 * 2);
  tiny::Reference reference(*file);
  Logits got = evaluate(*decoder, cache, tokens, 396);
  auto wanted = reference.logits(tokens);
  expect_near(got, std::vector(wanted.begin() + 396, wanted.end()), 2e-3);
  EXPECT_FALSE(cache.truncate(100));
  EXPECT_EQ(cache.n_positions(), 0u);
}

TEST(Decoder, TruncatedCacheContinuesAsIfNothingHadFollowed) {
  auto decoder = load(tiny::open(kQwen2));
  auto tokens = random_tokens(20, kQwen2.n_vocabulary);
  KvCache cache = cache_for(*decoder);
  Logits first = evaluate(*decoder, cache, tokens, 19);
  EXPECT_TRUE(cache.truncate(13));
  std::vector<Token> rest(tokens.begin() + 13, tokens.end());
  expect_near(evaluate(*decoder, cache, rest, rest.size() - 1), first, 1e-4);
}

TEST(Decoder, OnlyTheRowsAskedForAreGiven) {
  auto decoder = load(tiny::open(kLlama));
  auto tokens = random_tokens(21, kLlama.n_vocabulary);
  KvCache cache = cache_for(*decoder);
  Logits all = evaluate(*decoder, cache, tokens);
  for (size_t first : {size_t(0), size_t(7), size_t(8), size_t(13), size_t(20)}) {
    cache.clear();
    Logits some = evaluate(*decoder, cache, tokens, first);
    expect_near(some, std::vector(all.begin() + ptrdiff_t(first), all.end()), 1e-5);
  }
  cache.clear();
  EXPECT_TRUE(decoder->evaluate(tokens, cache, tokens.size(), {}).ok());
  EXPECT_EQ(cache.n_positions(), tokens.size());
}

TEST(Decoder, DroppedLayersPassTheResidualThrough) {
  auto file = tiny::open(kLlama);
  auto decoder = load(file);
  auto tokens = random_tokens(12, kLlama.n_vocabulary);
  KvCache cache = cache_for(*decoder);
  tiny::Reference reference(*file);
  Logits whole = evaluate(*decoder, cache, tokens);

  decoder->set_layer_dropped(1, true);
  reference.dropped_attention = reference.dropped_ffn = {1};
  cache.clear();
  expect_near(evaluate(*decoder, cache, tokens), reference.logits(tokens), 1e-3);

  decoder->set_layer_dropped(1, false);
  decoder->set_attention_dropped(0, true);
  decoder->set_ffn_dropped(2, true);
  reference.dropped_attention = {0};
  reference.dropped_ffn = {2};
  cache.clear();
  expect_near(evaluate(*decoder, cache, tokens), reference.logits(tokens), 1e-3);

  decoder->set_attention_dropped(0, false);
  decoder->set_ffn_dropped(2, false);
  cache.clear();
  expect_near(evaluate(*decoder, cache, tokens), whole, 1e-6);
}

TEST(Decoder, ReplacedWeightsCountAsIfTheyWereInTheFile) {
  Shape other = kLlama;
  other.type = TensorType::Q8_0;
  other.seed = 99;
  auto file = tiny::open(kLlama), donor = tiny::open(other);
  auto decoder = load(file);
  auto tokens = random_tokens(12, kLlama.n_vocabulary);
  KvCache cache = cache_for(*decoder);
  Logits before = evaluate(*decoder, cache, tokens);

  auto mixed = tiny::tensors_of(kLlama);
  for (const char* name : {"blk.1.ffn_down.weight", "blk.2.attn_q.weight", "token_embd.weight"}) {
    const GgufTensor* tensor = donor->find(name);
    ASSERT_TRUE(decoder->replace_weight(name, tensor->type, tensor->data).ok());
    for (tiny::Tensor& t : mixed)
      if (t.declaration.name == name) {
        t.declaration.type = tensor->type;
        t.data.assign(tensor->data.begin(), tensor->data.end());
      }
  }
  auto from_file = load(tiny::open(tiny::metadata_of(kLlama), mixed));
  KvCache other_cache = cache_for(*from_file);
  cache.clear();
  expect_near(evaluate(*decoder, cache, tokens), evaluate(*from_file, other_cache, tokens), 1e-6);

  ASSERT_TRUE(decoder->restore_weight("blk.1.ffn_down.weight").ok());
  decoder->restore_weights();
  cache.clear();
  expect_near(evaluate(*decoder, cache, tokens), before, 1e-6);
}

TEST(Decoder, ReplacingRefusesWhatDoesNotFit) {
  auto file = tiny::open(kLlama);
  auto decoder = load(file);
  std::vector<std::byte> few(100);
  Status wrong_size = decoder->replace_weight("blk.0.attn_q.weight", TensorType::F16, few);
  ASSERT_FALSE(wrong_size.ok());
  EXPECT_NE(wrong_size.error().message.find("blk.0.attn_q.weight"), std::string::npos);
  EXPECT_FALSE(decoder->replace_weight("blk.0.attn_norm.weight", TensorType::F32, few).ok());
  EXPECT_FALSE(decoder->replace_weight("blk.9.attn_q.weight", TensorType::F32, few).ok());
  EXPECT_FALSE(decoder->replace_weight("output.weight", TensorType::F32, few).ok());
}

TEST(Decoder, HiddenStatesOfAnyLayerContinueToTheSameLogits) {
  for (const Shape& shape : {kLlama, kGemma3}) {
    auto decoder = load(tiny::open(shape));
    auto tokens = random_tokens(21, shape.n_vocabulary);
    KvCache cache = cache_for(*decoder);
    std::vector<std::vector<float>> hidden(shape.n_layers + 1);
    decoder->set_observers(
        {.on_product_input = {},
         .on_hidden = [&](uint32_t layer, size_t position, const float* x, size_t n_tokens) {
           EXPECT_EQ(hidden[layer].size(), position * shape.n_embedding);
           hidden[layer].insert(hidden[layer].end(), x, x + n_tokens * shape.n_embedding);
         }});
    Logits whole = evaluate(*decoder, cache, tokens);
    decoder->set_observers({});
    for (uint32_t layer = 0; layer <= shape.n_layers; ++layer) {
      ASSERT_EQ(hidden[layer].size(), tokens.size() * shape.n_embedding);
      Logits rows;
      cache.clear();
      ASSERT_TRUE(decoder->evaluate_from(layer, hidden[layer], cache, 0, collect_into(rows)).ok());
      expect_near(rows, whole, 1e-5);
    }
  }
}

TEST(Decoder, ObserversSeeTheInputOfEveryProductOncePerToken) {
  auto decoder = load(tiny::open(kQwen2));
  auto tokens = random_tokens(19, kQwen2.n_vocabulary);
  KvCache cache = cache_for(*decoder);
  std::map<std::pair<TensorRole, int32_t>, size_t> n_seen;
  decoder->set_observers(
      {.on_product_input =
           [&](TensorRole role, int32_t layer, const float* x, size_t n_tokens, size_t n_columns) {
             n_seen[{role, layer}] += n_tokens;
             EXPECT_EQ(n_columns, role == TensorRole::ffn_down           ? 96u
                                  : role == TensorRole::attention_output ? 128u
                                                                         : 64u);
             EXPECT_TRUE(std::isfinite(x[n_tokens * n_columns - 1]));
           },
       .on_hidden = {}});
  evaluate(*decoder, cache, tokens, 10);
  EXPECT_EQ(n_seen.size(), 7u * kQwen2.n_layers + 1);
  for (const auto& [key, n] : n_seen) EXPECT_EQ(n, key.second < 0 ? 9u : 19u);
  EXPECT_TRUE((n_seen.contains({TensorRole::token_embedding, -1})));
}

TEST(Decoder, RefusesTokensThatDoNotFit) {
  auto decoder = load(tiny::open(kLlama));
  KvCache cache = cache_for(*decoder, 16);
  auto too_many = random_tokens(17, kLlama.n_vocabulary);
  EXPECT_FALSE(decoder->evaluate(too_many, cache, 17, {}).ok());
  for (Token bad : {Token(-1), Token(kLlama.n_vocabulary)}) {
    Status status = decoder->evaluate(std::vector<Token>{1, bad}, cache, 2, {});
    ASSERT_FALSE(status.ok());
    EXPECT_NE(status.error().message.find(std::to_string(bad)), std::string::npos);
  }
  EXPECT_EQ(cache.n_positions(), 0u);
}

TEST(Decoder, LoadNamesTheTensorThatIsMissingUnknownOrMisshapen) {
  auto message = [](const std::vector<tiny::Tensor>& tensors) {
    auto decoder = Decoder::load(tiny::open(tiny::metadata_of(kLlama), tensors), {});
    return decoder.ok() ? std::string() : decoder.error().message;
  };
  auto tensors = tiny::tensors_of(kLlama);
  auto missing = tensors;
  std::erase_if(missing, [](const tiny::Tensor& t) { return t.declaration.name == "blk.1.ffn_up.weight"; });
  EXPECT_NE(message(missing).find("'blk.1.ffn_up.weight' is missing"), std::string::npos);

  auto unknown = tensors;
  unknown.push_back({{"blk.0.mystery.weight", TensorType::F32, {4}}, std::vector<std::byte>(16)});
  EXPECT_NE(message(unknown).find("blk.0.mystery.weight"), std::string::npos);

  auto misshapen = tensors;
  for (tiny::Tensor& t : misshapen)
    if (t.declaration.name == "blk.2.attn_k.weight")
      std::swap(t.declaration.dimensions[0], t.declaration.dimensions[1]);
  // 64 x 64 stays square, so a half is taken away as well.
  for (tiny::Tensor& t : misshapen)
    if (t.declaration.name == "blk.2.attn_k.weight") {
      t.declaration.dimensions[1] /= 2;
      t.data.resize(t.data.size() / 2);
    }
  EXPECT_NE(message(misshapen).find("blk.2.attn_k.weight"), std::string::npos);
}

TEST(KvCache, RefusesQ8ForHeadsThatAreNoMultipleOf32) {
  Shape shape = kLlama;
  shape.head_width = 24;
  auto decoder = load(tiny::open(shape));
  EXPECT_TRUE(KvCache::create(decoder->hyperparameters(), KvType::f16, 16, 8).ok());
  auto refused = KvCache::create(decoder->hyperparameters(), KvType::q8_0, 16, 8);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("24"), std::string::npos);
}

// Pages of a mapping that this process holds, but for those at its ends, which may come with what lies
// beside.
size_t n_present_pages(std::span<const std::byte> part) {
  const size_t page = size_t(::sysconf(_SC_PAGESIZE));
  constexpr size_t kBeside = 16;  // the kernel maps so many around one that is touched
  const size_t first = (reinterpret_cast<uintptr_t>(part.data()) + page - 1) / page + kBeside,
               end = (reinterpret_cast<uintptr_t>(part.data()) + part.size()) / page - kBeside;
  const int pages = ::open("/proc/self/pagemap", O_RDONLY);
  size_t n = 0;
  for (size_t i = first; i < end; ++i) {
    uint64_t entry = 0;
    if (::pread(pages, &entry, sizeof(entry), off_t(i * sizeof(entry))) == ssize_t(sizeof(entry)))
      n += entry >> 63;
  }
  ::close(pages);
  return n;
}

TEST(Decoder, GivesTheWeightsItComputedWithBackWhereAskedTo) {
  auto file = tiny::open({.n_embedding = 256, .n_vocabulary = 512, .n_feed_forward = {512}, .tied = false});
  ASSERT_TRUE(file);
  const std::vector<Token> tokens = random_tokens(20, 512);
  auto pages_after = [&](bool gives_back, Logits& logits) {
    for (const GgufTensor& tensor : file->tensors()) file->give_back(tensor);
    auto decoder =
        Decoder::load(file, {.n_batch = 8, .n_logit_rows = 3, .gives_back_weights = gives_back}).value();
    KvCache cache = cache_for(*decoder);
    logits = evaluate(*decoder, cache, tokens);
    size_t n = 0;
    for (const char* name :
         {"blk.0.attn_q.weight", "blk.1.ffn_up.weight", "blk.2.ffn_down.weight", "output.weight"})
      n += n_present_pages(file->find(name)->data);
    return n;
  };
  Logits kept, given_back;
  if (!pages_after(false, kept)) GTEST_SKIP() << "/proc/self/pagemap does not tell the pages of this process";
  EXPECT_EQ(pages_after(true, given_back), 0u);
  EXPECT_EQ(given_back, kept);
}

}  // namespace
}  // namespace edgellm
