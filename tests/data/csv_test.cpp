#include "data/csv.h"

#include "data/data_files.h"

using namespace trainctl;
using namespace trainctl::testing;

namespace {

std::vector<std::vector<std::string>> rows(const TempFolder& folder, std::string_view text, char delimiter = ',') {
  CsvReader reader(folder.write("x.csv", text), delimiter);
  std::vector<std::vector<std::string>> out;
  for (std::vector<CsvCell> row; reader.next(row);) {
    auto& texts = out.emplace_back();
    for (const CsvCell& cell : row) texts.emplace_back(cell.text);
  }
  return out;
}

Table table(const TempFolder& folder, std::string_view text, std::string_view options = "") {
  const auto path = folder.write("x.csv", text);
  return dataset(fmt::format("{{type: csv, path: {}{}}}", path.string(), options))->load();
}

std::string error(const TempFolder& folder, std::string_view text, std::string_view options = "",
                  ErrorKind kind = ErrorKind::data) {
  return message_of(kind, [&] { table(folder, text, options); });
}

template <typename T>
std::vector<T> values(const Table& table, std::string_view name) {
  const Column& column = table.column(name);
  return {column.as<T>(), column.as<T>() + table.samples() * column.field.shape.elements()};
}

using Rows = std::vector<std::vector<std::string>>;
using Floats = std::vector<float>;
using Labels = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("csv: cells, quotes, line ends, blank lines and delimiters") {
  const TempFolder folder;
  CHECK(rows(folder, "a,b\n1,2\n") == Rows{{"a", "b"}, {"1", "2"}});
  CHECK(rows(folder, "a,b\r\n1,2") == Rows{{"a", "b"}, {"1", "2"}});
  CHECK(rows(folder,
             "\xef\xbb\xbf"
             "a,b\n\n\n1,2\n\n") == Rows{{"a", "b"}, {"1", "2"}});
  CHECK(rows(folder, "\"x,y\",\"say \"\"no\"\"\",\"\"\n\"two\nlines\",,\"a\"") ==
        Rows{{"x,y", "say \"no\"", ""}, {"two\nlines", "", "a"}});
  CHECK(rows(folder, "a;b,c\n", ';') == Rows{{"a", "b,c"}});
  CHECK(rows(folder, ",\n") == Rows{{"", ""}});
  CHECK(rows(folder, "").empty());
}

TEST_CASE("csv: errors name line and column") {
  const TempFolder folder;
  const auto message = [&](std::string_view text) { return message_of(ErrorKind::data, [&] { rows(folder, text); }); };
  CHECK(contains(message("a,b\n1,2,3\n"), "x.csv:2:1: this row has 3 cells, the first one has 2"));
  CHECK(contains(message("a,b\n1\n"), "x.csv:2:1: this row has 1 cells"));
  CHECK(contains(message("a,b\n1,\"open\n\n"), "x.csv:2:3: this quote is never closed"));
  CHECK(contains(message("a,b\n1,\"x\"y\n"), "x.csv:2:6: text after the closing quote"));
  CHECK(contains(message("a,b\n1,x\"y\n"), "x.csv:2:4: a quote within a cell"));
  CHECK(contains(message("a,b\n\"1\n\n\",2\n1,2,3"), "x.csv:5:1: this row"));
}

TEST_CASE("csv dataset: whole numbers are class indices, the last column is the target") {
  const TempFolder folder;
  const Table t = table(folder, "u,v,y\n1,2.5,2\n-3,+4e1, 0 \n");
  CHECK(t.samples() == 2);
  CHECK(t.column("input").field.shape == Shape{2});
  CHECK(values<float>(t, "input") == Floats{1.0F, 2.5F, -3.0F, 40.0F});
  CHECK(values<std::int64_t>(t, "target") == Labels{2, 0});
  CHECK(t.column("target").field.classes == 3);
  CHECK(t.column("target").field.class_names.empty());
}

TEST_CASE("csv dataset: class names are sorted, or in the order that is given") {
  const TempFolder folder;
  const std::string_view text = "kind,v\nwolf,1\ncat,2\nwolf,3\n";
  const Table sorted = table(folder, text, ", target: kind");
  CHECK(values<std::int64_t>(sorted, "target") == Labels{1, 0, 1});
  CHECK(sorted.column("target").field.class_names == std::vector<std::string>{"cat", "wolf"});
  const Table given = table(folder, text, ", target: kind, classes: [wolf, bear, cat]");
  CHECK(values<std::int64_t>(given, "target") == Labels{0, 2, 0});
  CHECK(given.column("target").field.classes == 3);
  const Table renamed = table(folder, text, ", target: kind, classes: [wolf, puma, cat]");
  CHECK(values<std::int64_t>(renamed, "target") == values<std::int64_t>(given, "target"));
  CHECK(renamed.digest() != given.digest());
  CHECK(contains(error(folder, text, ", target: kind, classes: [wolf, cart]"),
                 "x.csv:3:1: 'cat' is none of the 'classes'. Did you mean 'cart'?"));
}

TEST_CASE("csv dataset: regression, columns by name and index, no header, shape, delimiter") {
  const TempFolder folder;
  const Table by_name = table(folder, "a,b,c\n1,2,3\n4,5,6\n", ", target: [c, a], task: regression");
  CHECK(values<float>(by_name, "target") == Floats{3, 1, 6, 4});
  CHECK(values<float>(by_name, "input") == Floats{2, 5});
  const Table by_index =
      table(folder, "1;2;3\n4;5;6\n", ", header: false, delimiter: ';', target: 0, task: regression");
  CHECK(values<float>(by_index, "target") == Floats{1, 4});
  CHECK(by_index.column("target").field.shape == Shape{1});
  const Table chosen = table(folder, "a,b,c,d\n1,x,3,0\n", ", features: [c, 0]");
  CHECK(values<float>(chosen, "input") == Floats{3, 1});
  const Table shaped = table(folder, "1,2,3,4\n", ", header: false, target: [], shape: [1, 2, 2]");
  CHECK(shaped.column("input").field.shape == Shape{1, 2, 2});
  CHECK(shaped.info().fields.size() == 1);
}

TEST_CASE("csv dataset: further columns as fields of their own") {
  const TempFolder folder;
  const std::string_view text = "id,a,b,w,y\nann,1,2,0.5,0\nbob,3,4,1.5,1\nann,5,6,2,1\n";
  const Table t =
      table(folder, text,
            ", fields: {patient: {columns: id, task: classification}, weight: {columns: w}, both: {columns: [b, "
            "a]}}, features: [a]");
  CHECK(values<float>(t, "input") == Floats{1, 3, 5});
  CHECK(values<std::int64_t>(t, "patient") == Labels{0, 1, 0});
  CHECK(t.column("patient").field.class_names == std::vector<std::string>{"ann", "bob"});
  CHECK(values<float>(t, "weight") == Floats{0.5F, 1.5F, 2});
  CHECK(values<float>(t, "both") == Floats{2, 1, 4, 3, 6, 5});
  CHECK(t.column("both").field.shape == Shape{2});
  const Table rest = table(folder, text, ", fields: {patient: {columns: id, task: classification}, w: {columns: 3}}");
  CHECK(values<float>(rest, "input") == Floats{1, 2, 3, 4, 5, 6});  // what no field took
  CHECK(contains(error(folder, text, ", fields: {target: {columns: id}}", ErrorKind::config), "told by"));
  CHECK(contains(error(folder, text, ", fields: {p: {columns: [a, b], task: classification}}", ErrorKind::config),
                 "one column"));
  CHECK(contains(error(folder, text, ", fields: {p: {columns: idd}}", ErrorKind::config), "Did you mean 'id'?"));
}

TEST_CASE("csv dataset: what is no finite number is refused with its place") {
  const TempFolder folder;
  CHECK(contains(error(folder, "a,b\n1,0\nnan,1\n"), "x.csv:3:1: 'nan' is not a finite number"));
  CHECK(contains(error(folder, "a,b\n-inf,1\n"), "x.csv:2:1: '-inf' is not a finite number"));
  CHECK(contains(error(folder, "a,b\n1e39,1\n"), "x.csv:2:1: '1e39' is not a finite number"));
  CHECK(contains(error(folder, "a,c,b\n1,two,1\n"), "x.csv:2:3: 'two' is not a number"));
  CHECK(contains(error(folder, "a,c,b\n1,2x,1\n"), "x.csv:2:3: '2x' is not a number"));
  CHECK(contains(error(folder, "a,c,b\n1,,1\n"), "x.csv:2:3: an empty cell"));
  CHECK(contains(error(folder, "a,b\n1,\n"), "x.csv:2:3: an empty cell"));
}

TEST_CASE("csv dataset: empty files and unknown columns are refused") {
  const TempFolder folder;
  CHECK(contains(error(folder, ""), "holds no samples"));
  CHECK(contains(error(folder, "a,b\n"), "holds no samples"));
  CHECK(contains(error(folder, "price,b\n1,2\n", ", target: prise", ErrorKind::config), "Did you mean 'price'?"));
  CHECK(contains(error(folder, "a,b\n1,2\n", ", target: 2", ErrorKind::config), "no column 2; it has 2"));
  CHECK(contains(error(folder, "a,b\n1,2\n", ", target: -3", ErrorKind::config), "no column -3"));
  CHECK(contains(error(folder, "a\n1\n", "", ErrorKind::config), "no column is left"));
  CHECK(contains(error(folder, "a,b,c\n1,2,0\n", ", shape: [3]", ErrorKind::config), "shape"));
  CHECK(contains(error(folder, "a,b\n1,2\n", ", delimiter: ab", ErrorKind::config), "delimiter must be one character"));
}

TEST_CASE("csv: a file cut anywhere gives fewer rows or an error, never a wrong cell count") {
  const TempFolder folder;
  const std::string text = "a,b,c\n1,\"2\",0\n3,4,1\n\"5\",6,2\n";
  for (std::size_t length = 0; length <= text.size(); ++length) {
    try {
      const Table t = table(folder, text.substr(0, length));
      CHECK(t.samples() <= 3);
      CHECK(values<float>(t, "input").front() == 1.0F);
    } catch (const Error& failed) {
      CHECK(failed.kind() == ErrorKind::data);
    }
  }
}
