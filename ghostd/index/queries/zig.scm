; Definitions
(function_declaration name: (identifier) @name.function) @definition
(variable_declaration "const" . (identifier) @name.constant) @definition
(variable_declaration "var" . (identifier) @name.variable) @definition
(variable_declaration (identifier) @name.struct "=" (struct_declaration)) @definition
(variable_declaration (identifier) @name.struct "=" (opaque_declaration)) @definition
(variable_declaration (identifier) @name.enum "=" (enum_declaration)) @definition
(variable_declaration (identifier) @name.enum "=" (error_set_declaration)) @definition
(variable_declaration (identifier) @name.union "=" (union_declaration)) @definition
(error_set_declaration (identifier) @name.enum_member @definition)
(enum_declaration (container_field name: (identifier) @name.enum_member) @definition)
(enum_declaration (container_field type: (identifier) @name.enum_member) @definition)
(container_field name: (identifier) @name.field) @definition
(test_declaration (string (string_content) @name.test)) @definition
(test_declaration (identifier) @name.test) @definition
(struct_declaration) @body
(enum_declaration) @body
(union_declaration) @body
(opaque_declaration) @body

; References
(identifier) @reference

; Imports
((builtin_function (builtin_identifier) @_import (arguments (string) @import.module)) @import
  (#any-of? @_import "@import" "@cInclude" "@embedFile"))
