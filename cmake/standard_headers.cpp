// Stands for the sources that share the compiled standard_headers.h.
int main() {
  return 0;
}
