#include "core/model_file/gguf.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/base/content_hash.h"
#include "core/base/temporary_folder.h"
#include "core/base/test_folders.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;

class GgufTest : public testing::Test {
 protected:
  fs::path write_bytes(const std::string& name, std::string_view bytes) {
    fs::path path = folder_ / name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  Result<GgufFile> open_bytes(std::string_view bytes) {
    return GgufFile::open(write_bytes("model.gguf", bytes));
  }
  std::string error_of(std::string_view bytes) {
    auto opened = open_bytes(bytes);
    return opened.ok() ? "no error" : opened.error().message;
  }
  TemporaryFolder folder_ = *TemporaryFolder::create("gguf");
};

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Lays bytes down as GGUF does, without any of the writer's checks.
struct Raw {
  std::string bytes;
  template <class T>
  Raw& put(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Raw& text(std::string_view text) {
    put(uint64_t{text.size()});
    bytes += text;
    return *this;
  }
  Raw& head(uint64_t n_tensors, uint64_t n_pairs, uint32_t version = 3) {
    bytes += "GGUF";
    return put(version).put(n_tensors).put(n_pairs);
  }
  Raw& tensor(std::string_view name, std::vector<uint64_t> dimensions, uint32_t type, uint64_t offset) {
    text(name).put(uint32_t(dimensions.size()));
    for (uint64_t d : dimensions) put(d);
    return put(type).put(offset);
  }
  Raw& data(size_t n) {
    bytes.resize((bytes.size() + 31) / 32 * 32);
    bytes.append(n, 'x');
    return *this;
  }
};

Metadata every_kind() {
  Metadata m;
  m.set("general.architecture", MetadataValue::of_string("llama"));
  m.set("u8", {MetadataType::uint8, {}, uint64_t{250}});
  m.set("i8", {MetadataType::int8, {}, int64_t{-5}});
  m.set("u16", {MetadataType::uint16, {}, uint64_t{65000}});
  m.set("i16", {MetadataType::int16, {}, int64_t{-3000}});
  m.set("u32", MetadataValue::of_uint32(4000000000u));
  m.set("i32", MetadataValue::of_int32(-7));
  m.set("u64", MetadataValue::of_uint64(uint64_t{1} << 63));
  m.set("i64", {MetadataType::int64, {}, int64_t{-1} << 62});
  m.set("f32", MetadataValue::of_float32(0.1f));
  m.set("f64", {MetadataType::float64, {}, 0.1});
  m.set("yes", MetadataValue::of_boolean(true));
  m.set("strings", MetadataValue::of_strings({"a", "", "\xe4\xb8\xad"}));
  m.set("i32s", MetadataValue::of_int32s({-1, 2, 3}));
  m.set("f32s", MetadataValue::of_float32s({-1.5f, 2.25f}));
  m.set("booleans", MetadataValue::of_booleans({true, false, true}));
  m.set("u8s", {MetadataType::array, MetadataType::uint8, std::vector<uint64_t>{1, 255}});
  m.set("none", MetadataValue::of_strings({}));
  return m;
}

std::string pattern_bytes(size_t n, int seed) {
  std::string bytes(n, '\0');
  for (size_t i = 0; i < n; ++i) bytes[i] = char((i * 31 + size_t(seed) * 17) & 0xff);
  return bytes;
}

Status write_model(const fs::path& path, const Metadata& metadata,
                   std::vector<GgufWriter::Declaration> tensors) {
  EDGELLM_ASSIGN_OR_RETURN(GgufWriter writer, GgufWriter::create(path, metadata, tensors));
  for (size_t i = 0; i < tensors.size(); ++i) {
    EDGELLM_ASSIGN_OR_RETURN(uint64_t n, tensor_bytes(tensors[i]));
    std::string data = pattern_bytes(n, int(i));
    auto bytes = std::as_bytes(std::span(data));
    // In two pieces, as a streaming caller would.
    EDGELLM_RETURN_IF_ERROR(writer.write(bytes.first(n / 3)));
    EDGELLM_RETURN_IF_ERROR(writer.write(bytes.subspan(n / 3)));
  }
  return writer.commit();
}

const std::vector<GgufWriter::Declaration> kSmallTensors = {
    {"a", TensorType::F32, {3, 2}}, {"b", TensorType::Q8_0, {64, 2, 3}}, {"c", TensorType::F16, {5}}};

TEST_F(GgufTest, WhatIsWrittenIsReadBackExactly) {
  fs::path path = folder_ / "model.gguf";
  Metadata metadata = every_kind();
  auto status = write_model(path, metadata, kSmallTensors);
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_EQ(*GgufWriter::file_bytes(metadata, kSmallTensors), fs::file_size(path));

  auto file = GgufFile::open(path);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->version(), 3u);
  EXPECT_EQ(file->n_file_bytes(), fs::file_size(path));
  ASSERT_EQ(file->metadata().entries().size(), metadata.entries().size());
  for (size_t i = 0; i < metadata.entries().size(); ++i) {
    EXPECT_EQ(file->metadata().entries()[i].first, metadata.entries()[i].first);
    EXPECT_TRUE(file->metadata().entries()[i].second == metadata.entries()[i].second)
        << metadata.entries()[i].first;
  }
  ASSERT_EQ(file->tensors().size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const GgufTensor& tensor = file->tensors()[i];
    EXPECT_EQ(tensor.name, kSmallTensors[i].name);
    EXPECT_EQ(tensor.type, kSmallTensors[i].type);
    EXPECT_EQ(tensor.dimensions, kSmallTensors[i].dimensions);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data.data()) % 32, 0u);
    std::string data(reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size());
    EXPECT_EQ(data, pattern_bytes(data.size(), int(i)));
    EXPECT_EQ(file->find(tensor.name), &tensor);
  }
  EXPECT_EQ(file->find("b")->n_rows(), 6u);
  EXPECT_EQ(file->find("d"), nullptr);
}

TEST_F(GgufTest, AFileCopiedThroughReaderAndWriterIsByteForByteTheSame) {
  fs::path first = folder_ / "first.gguf", second = folder_ / "second.gguf";
  ASSERT_TRUE(write_model(first, every_kind(), kSmallTensors).ok());
  auto file = GgufFile::open(first);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE(write_model(second, file->metadata(), kSmallTensors).ok());
  EXPECT_EQ(slurp(first), slurp(second));
}

TEST_F(GgufTest, ATensorLeftOutIsNotFoundAndTheOthersAre) {
  fs::path path = folder_ / "small.gguf";
  ASSERT_TRUE(write_model(path, every_kind(), kSmallTensors).ok());
  auto file = GgufFile::open(path);
  ASSERT_TRUE(file.ok());
  file->leave_out("a");
  file->leave_out("no such tensor");
  EXPECT_EQ(file->find("a"), nullptr);
  EXPECT_EQ(file->tensors().size(), 2u);
  for (const char* name : {"b", "c"}) {
    ASSERT_NE(file->find(name), nullptr);
    EXPECT_EQ(file->find(name)->name, name);
  }
}

TEST_F(GgufTest, AnAlignmentInTheMetadataIsKept) {
  fs::path path = folder_ / "model.gguf";
  Metadata metadata = every_kind();
  metadata.set("general.alignment", MetadataValue::of_uint32(128));
  ASSERT_TRUE(write_model(path, metadata, kSmallTensors).ok());
  EXPECT_EQ(*GgufWriter::file_bytes(metadata, kSmallTensors), fs::file_size(path));
  auto file = GgufFile::open(path);
  ASSERT_TRUE(file.ok()) << file.error().message;
  for (const GgufTensor& tensor : file->tensors())
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data.data()) % 128, 0u);
}

TEST_F(GgufTest, AFileTruncatedAtAnyByteIsRefused) {
  fs::path path = folder_ / "model.gguf";
  ASSERT_TRUE(write_model(path, every_kind(), kSmallTensors).ok());
  std::string whole = slurp(path);
  // The last tensor has 10 bytes; the padding after it is not needed to read the file.
  size_t needed = whole.size() - 22;
  for (size_t n = 0; n < needed; ++n) {
    auto opened = open_bytes(whole.substr(0, n));
    ASSERT_FALSE(opened.ok()) << "opened with " << n << " of " << whole.size() << " bytes";
  }
  EXPECT_TRUE(open_bytes(whole.substr(0, needed)).ok());
}

TEST_F(GgufTest, AnyByteOverwrittenNeverBreaksTheReader) {
  fs::path path = folder_ / "model.gguf";
  ASSERT_TRUE(write_model(path, every_kind(), kSmallTensors).ok());
  std::string whole = slurp(path);
  for (size_t i = 0; i < whole.size(); ++i) {
    for (char value : {'\x00', '\x01', '\x7f', '\xff'}) {
      std::string changed = whole;
      changed[i] = value;
      auto opened = open_bytes(changed);
      if (opened.ok()) continue;
      EXPECT_NE(opened.error().message.find("model.gguf"), std::string::npos);
    }
  }
}

TEST_F(GgufTest, VersionTwoIsRead) {
  Raw raw;
  raw.head(1, 1, 2).text("k").put(uint32_t{4}).put(uint32_t{7}).tensor("t", {4}, 0, 0).data(16);
  auto file = open_bytes(raw.bytes);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->version(), 2u);
  EXPECT_EQ(*file->metadata().integer("k"), 7);
}

TEST_F(GgufTest, OtherFilesAndVersionsAreNamed) {
  EXPECT_NE(error_of("PK\x03\x04 some zip archive").find("no GGUF file"), std::string::npos);
  EXPECT_NE(error_of(Raw().head(0, 0, 1).bytes).find("version 1 is not known"), std::string::npos);
  EXPECT_NE(error_of(Raw().head(0, 0, 4).bytes).find("version 4 is not known"), std::string::npos);
  EXPECT_NE(error_of(Raw().head(0, 0, 0x03000000).bytes).find("big-endian GGUF file (version 3)"),
            std::string::npos);
  EXPECT_FALSE(GgufFile::open(folder_ / "missing.gguf").ok());
  EXPECT_NE(error_of("").find("empty"), std::string::npos);
}

TEST_F(GgufTest, CountsBeyondTheFileAreRefusedBeforeAnythingIsAllocated) {
  for (uint64_t n : {uint64_t{1000}, uint64_t{1} << 40, ~uint64_t{0}}) {
    EXPECT_NE(error_of(Raw().head(n, 0).bytes).find("do not fit"), std::string::npos);
    EXPECT_NE(error_of(Raw().head(0, n).bytes).find("do not fit"), std::string::npos);
    EXPECT_NE(error_of(Raw().head(0, 1).put(n).data(64).bytes).find("the file only"), std::string::npos);
    for (uint32_t element : {0u, 4u, 7u, 8u, 12u})
      EXPECT_NE(error_of(Raw().head(0, 1).text("k").put(uint32_t{9}).put(element).put(n).data(64).bytes)
                    .find("the file only"),
                std::string::npos);
  }
}

TEST_F(GgufTest, BadMetadataIsNamed) {
  auto pair = [](uint32_t type) { return Raw().head(0, 1).text("key").put(type); };
  EXPECT_NE(error_of(pair(13).data(64).bytes).find("'key' has unknown type 13"), std::string::npos);
  EXPECT_NE(error_of(pair(9).put(uint32_t{9}).put(uint64_t{1}).data(64).bytes).find("array of arrays"),
            std::string::npos);
  EXPECT_NE(error_of(pair(9).put(uint32_t{77}).put(uint64_t{1}).data(64).bytes).find("unknown type 77"),
            std::string::npos);
  EXPECT_NE(error_of(pair(7).put(uint8_t{2}).data(64).bytes).find("boolean"), std::string::npos);
  EXPECT_NE(error_of(Raw().head(0, 1).text("").put(uint32_t{0}).data(64).bytes).find("empty"),
            std::string::npos);
  Raw twice = Raw().head(0, 2);
  for (int i = 0; i < 2; ++i) twice.text("key").put(uint32_t{0}).put(uint8_t{1});
  EXPECT_NE(error_of(twice.data(64).bytes).find("'key' appears twice"), std::string::npos);
  for (uint32_t alignment : {0u, 1u, 24u, 1u << 31})
    EXPECT_NE(error_of(Raw().head(0, 1).text("general.alignment").put(uint32_t{4}).put(alignment).bytes)
                  .find("power of two"),
              std::string::npos);
}

TEST_F(GgufTest, BadTensorsAreNamed) {
  auto error = [&](std::vector<uint64_t> dimensions, uint32_t type, uint64_t offset) {
    return error_of(Raw().head(1, 0).tensor("w", std::move(dimensions), type, offset).data(64).bytes);
  };
  uint64_t big = uint64_t{1} << 33;
  EXPECT_EQ(error({16}, 0, 0), "no error");
  EXPECT_NE(error({16}, 999, 0).find("'w' has unknown type 999"), std::string::npos);
  EXPECT_NE(error({16}, 5, 0).find("'w' has unknown type 5"), std::string::npos);
  EXPECT_NE(error({1, 1, 1, 1, 1}, 0, 0).find("5 dimensions"), std::string::npos);
  EXPECT_NE(error({4, 0}, 0, 0).find("dimension 1 is 0"), std::string::npos);
  EXPECT_NE(error({0, ~uint64_t{0}}, 0, 0).find("dimension 0 is 0"), std::string::npos);
  EXPECT_NE(error({big, big}, 0, 0).find("beyond 64 bits"), std::string::npos);
  EXPECT_NE(error({big, big / 4}, 0, 0).find("beyond 64 bits"), std::string::npos);
  EXPECT_NE(error({~uint64_t{0}}, 24, 0).find("beyond 64 bits"), std::string::npos);
  EXPECT_NE(error({33}, 8, 0).find("no multiple of the 32"), std::string::npos);
  EXPECT_NE(error({17}, 0, 0).find("takes 68 bytes"), std::string::npos);
  EXPECT_NE(error({16}, 0, 4).find("offset 4"), std::string::npos);
  EXPECT_NE(error({16}, 0, 32).find("'w' takes 64 bytes from byte 32"), std::string::npos);
  EXPECT_NE(error({16}, 0, ~uint64_t{31}).find("'w' takes"), std::string::npos);
}

TEST_F(GgufTest, OverlappingAndRepeatedTensorsAreRefused) {
  Raw overlap;
  overlap.head(2, 0).tensor("a", {16}, 0, 32).tensor("b", {16}, 0, 0).data(128);
  EXPECT_NE(error_of(overlap.bytes).find("'b' and 'a' overlap"), std::string::npos);
  Raw same;
  same.head(2, 0).tensor("a", {16}, 0, 0).tensor("a", {16}, 0, 64).data(128);
  EXPECT_NE(error_of(same.bytes).find("'a' appears twice"), std::string::npos);
}

TEST_F(GgufTest, NamesInErrorsAreSafeForATerminal) {
  std::string name = "\x1b[2J" + std::string(500, 'n');
  std::string error = error_of(Raw().head(1, 0).tensor(name, {16}, 999, 0).data(64).bytes);
  EXPECT_EQ(error.find('\x1b'), std::string::npos);
  EXPECT_LT(error.size(), 300u);
}

class SplitGgufTest : public GgufTest {
 protected:
  fs::path write_part(int part, int n_parts, int n_tensors, std::vector<GgufWriter::Declaration> tensors,
                      std::string name = "") {
    Metadata metadata;
    if (part == 0) metadata = every_kind();
    metadata.set("split.no", {MetadataType::uint16, {}, uint64_t(part)});
    metadata.set("split.count", {MetadataType::uint16, {}, uint64_t(n_parts)});
    metadata.set("split.tensors.count", MetadataValue::of_int32(n_tensors));
    if (name.empty())
      name = "m-0000" + std::to_string(part + 1) + "-of-0000" + std::to_string(n_parts) + ".gguf";
    auto status = write_model(folder_ / name, metadata, std::move(tensors));
    EXPECT_TRUE(status.ok()) << status.error().message;
    return folder_ / name;
  }
};

TEST_F(SplitGgufTest, AnyPartOpensTheWholeModel) {
  fs::path first = write_part(0, 2, 3, {kSmallTensors[0], kSmallTensors[1]});
  fs::path second = write_part(1, 2, 3, {kSmallTensors[2]});
  for (const fs::path& path : {first, second}) {
    auto file = GgufFile::open(path);
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ(file->tensors().size(), 3u);
    EXPECT_EQ(file->find("c")->file, 1u);
    EXPECT_EQ(file->n_file_bytes(), fs::file_size(first) + fs::file_size(second));
    EXPECT_TRUE(file->metadata().contains("f64"));
    EXPECT_FALSE(file->metadata().contains("split.count"));
    file->will_need(file->tensors()[2]);
    file->give_back(file->tensors()[2]);
    EXPECT_EQ(file->tensors()[2].data[1], std::byte(pattern_bytes(2, 0)[1]));
  }
}

TEST_F(SplitGgufTest, MissingMismatchedAndMisnamedPartsAreRefused) {
  fs::path first = write_part(0, 2, 3, {kSmallTensors[0], kSmallTensors[1]});
  EXPECT_NE(GgufFile::open(first).error().message.find("m-00002-of-00002.gguf"), std::string::npos);
  write_part(1, 2, 4, {kSmallTensors[2]});
  EXPECT_NE(GgufFile::open(first).error().message.find("wanted part 2 of 2"), std::string::npos);
  write_part(1, 2, 3, {});
  EXPECT_NE(GgufFile::open(first).error().message.find("hold 2 tensors"), std::string::npos);
  write_part(1, 2, 3, {kSmallTensors[0]});
  EXPECT_NE(GgufFile::open(first).error().message.find("appears twice"), std::string::npos);
  fs::path odd = write_part(0, 2, 3, {kSmallTensors[0]}, "x.gguf");
  EXPECT_NE(GgufFile::open(odd).error().message.find("must be named"), std::string::npos);
}

TEST_F(GgufTest, TheWriterRefusesWhatNoReaderWouldTake) {
  fs::path path = folder_ / "model.gguf";
  Metadata metadata = every_kind();
  auto error = [&](GgufWriter::Declaration tensor) {
    auto created = GgufWriter::create(path, metadata, {tensor});
    return created.ok() ? "no error" : created.error().message;
  };
  EXPECT_NE(error({"w", TensorType::Q8_0, {33}}).find("'w'"), std::string::npos);
  EXPECT_NE(error({"w", TensorType::F32, {0}}).find("dimension 0 is 0"), std::string::npos);
  EXPECT_NE(error({std::string(64, 'w'), TensorType::F32, {1}}).find("64 bytes"), std::string::npos);
  EXPECT_NE(error({"w", TensorType::F32, {uint64_t{1} << 40, uint64_t{1} << 40}}).find("overflow"),
            std::string::npos);
  EXPECT_FALSE(GgufWriter::create(path, metadata, {kSmallTensors[0], kSmallTensors[0]}).ok());
  metadata.set("lie", {MetadataType::uint32, {}, std::string("text")});
  EXPECT_NE(error({"w", TensorType::F32, {4}}).find("'lie'"), std::string::npos);
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(GgufTest, AnIncompleteFileNeverAppearsUnderItsName) {
  fs::path path = folder_ / "model.gguf";
  {
    auto writer = GgufWriter::create(path, every_kind(), kSmallTensors);
    ASSERT_TRUE(writer.ok());
    std::vector<std::byte> data(24);
    EXPECT_TRUE(writer->write(data).ok());
    EXPECT_NE(writer->commit().error().message.find("'b' is incomplete"), std::string::npos);
    EXPECT_FALSE(writer->write(std::vector<std::byte>(1000)).ok());
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

// --- real models
// -----------------------------------------------------------------------------------------------------

TEST(GgufGolden, TensorsOfRealModelsDecodeToTheReferenceSums) {
  std::ifstream lines(shared_folder() / "golden/gguf_tensors.jsonl");
  if (!lines) GTEST_SKIP() << "no golden/gguf_tensors.jsonl; set EDGELLM_SHARED";
  std::vector<fs::path> present;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(models_folder(), code))
    if (entry.path().extension() == ".gguf") present.push_back(entry.path());

  std::optional<GgufFile> file;
  size_t n_models = 0;
  std::vector<float> values;
  for (std::string line; std::getline(lines, line);) {
    auto row = nlohmann::json::parse(line);
    if (row.contains("file")) {
      file.reset();
      for (const fs::path& path : present) {
        if (fs::file_size(path) != row["size"].get<uint64_t>()) continue;
        auto opened = GgufFile::open(path);
        ASSERT_TRUE(opened.ok()) << opened.error().message;
        file = std::move(opened).value();
        EXPECT_EQ(file->tensors().size(), row["n_tensors"].get<size_t>());
        EXPECT_EQ(*file->metadata().string("general.architecture"), row["arch"].get<std::string>());
        ++n_models;
      }
      continue;
    }
    if (!file) continue;
    const GgufTensor* tensor = file->find(row["name"].get<std::string>());
    ASSERT_NE(tensor, nullptr) << row["name"];
    EXPECT_EQ(tensor->dimensions, row["ne"].get<std::vector<uint64_t>>()) << tensor->name;
    EXPECT_EQ(to_string(tensor->type), row["type"].get<std::string>()) << tensor->name;
    ASSERT_EQ(tensor->data.size(), row["bytes"].get<size_t>()) << tensor->name;
    const TensorTypeInfo& type = info(tensor->type);
    ASSERT_NE(type.decode, nullptr);
    values.resize(tensor->n_columns());
    size_t n_row_bytes = *row_bytes(tensor->type, tensor->n_columns());
    type.decode(tensor->data.data(), values.data(), values.size());
    auto first = row["first4"].get<std::vector<float>>();
    for (size_t i = 0; i < first.size(); ++i) EXPECT_EQ(values[i], first[i]) << tensor->name;
    // The embeddings would take most of the time and are of types that other tensors show.
    if (tensor->n_values() > 4000000) continue;
    double sum = 0, sum_of_squares = 0, largest = 0;
    for (size_t r = 0; r < tensor->n_rows(); ++r) {
      type.decode(tensor->data.data() + r * n_row_bytes, values.data(), values.size());
      for (float v : values) {
        sum += double(v);
        sum_of_squares += double(v) * double(v);
        largest = std::max(largest, std::fabs(double(v)));
      }
    }
    double scale = std::sqrt(sum_of_squares * double(tensor->n_values())) + 1e-30;
    EXPECT_NEAR(sum, row["sum"].get<double>(), 1e-9 * scale) << tensor->name;
    EXPECT_NEAR(sum_of_squares, row["sumsq"].get<double>(), 1e-9 * sum_of_squares) << tensor->name;
    EXPECT_EQ(largest, row["absmax"].get<double>()) << tensor->name;
    file->give_back(*tensor);
  }
  if (!n_models) GTEST_SKIP() << "none of the golden's models is in " << models_folder();
}

TEST(GgufGolden, ARealModelCopiedThroughReaderAndWriterIsByteForByteTheSame) {
  fs::path path = models_folder() / "SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!fs::exists(path)) GTEST_SKIP() << "no " << path << "; set EDGELLM_MODELS";
  auto file = GgufFile::open(path);
  ASSERT_TRUE(file.ok()) << file.error().message;
  std::vector<GgufWriter::Declaration> tensors;
  for (const GgufTensor& t : file->tensors()) tensors.push_back({t.name, t.type, t.dimensions});
  EXPECT_EQ(*GgufWriter::file_bytes(file->metadata(), tensors), file->n_file_bytes());
  fs::path copy = fs::temp_directory_path() / ("edgellm-copy-" + std::to_string(::getpid()) + ".gguf");
  auto writer = GgufWriter::create(copy, file->metadata(), tensors);
  ASSERT_TRUE(writer.ok()) << writer.error().message;
  for (const GgufTensor& t : file->tensors()) ASSERT_TRUE(writer->write(t.data).ok());
  ASSERT_TRUE(writer->commit().ok());
  EXPECT_EQ(*hash_file(copy), *hash_file(path));
  fs::remove(copy);
}

}  // namespace
}  // namespace edgellm
