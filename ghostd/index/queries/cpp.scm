; Definitions
(function_definition declarator: (function_declarator declarator: (identifier) @name.function)) @definition
(function_definition declarator: (pointer_declarator declarator: (function_declarator declarator: (identifier) @name.function))) @definition
(function_definition declarator: (pointer_declarator declarator: (pointer_declarator declarator: (function_declarator declarator: (identifier) @name.function)))) @definition
(declaration declarator: (function_declarator declarator: (identifier) @name.prototype)) @definition
(declaration declarator: (pointer_declarator declarator: (function_declarator declarator: (identifier) @name.prototype))) @definition
(declaration declarator: (pointer_declarator declarator: (pointer_declarator declarator: (function_declarator declarator: (identifier) @name.prototype)))) @definition
(declaration declarator: (identifier) @name.variable) @definition
(declaration declarator: (init_declarator declarator: (identifier) @name.variable)) @definition
(declaration declarator: (init_declarator declarator: (pointer_declarator declarator: (identifier) @name.variable))) @definition
(declaration declarator: (init_declarator declarator: (array_declarator declarator: (identifier) @name.variable))) @definition
(declaration declarator: (pointer_declarator declarator: (identifier) @name.variable)) @definition
(declaration declarator: (array_declarator declarator: (identifier) @name.variable)) @definition
(declaration declarator: (pointer_declarator declarator: (array_declarator declarator: (identifier) @name.variable))) @definition
(declaration declarator: (array_declarator declarator: (array_declarator declarator: (identifier) @name.variable))) @definition
(declaration declarator: (pointer_declarator declarator: (pointer_declarator declarator: (identifier) @name.variable))) @definition
(declaration declarator: (function_declarator declarator: (parenthesized_declarator (pointer_declarator declarator: (identifier) @name.variable)))) @definition
(declaration declarator: (init_declarator declarator: (pointer_declarator declarator: (array_declarator declarator: (identifier) @name.variable)))) @definition
(declaration declarator: (init_declarator declarator: (array_declarator declarator: (array_declarator declarator: (identifier) @name.variable)))) @definition
(declaration declarator: (init_declarator declarator: (pointer_declarator declarator: (pointer_declarator declarator: (identifier) @name.variable)))) @definition
(declaration declarator: (init_declarator declarator: (function_declarator declarator: (parenthesized_declarator (pointer_declarator declarator: (identifier) @name.variable))))) @definition
(declaration declarator: (init_declarator declarator: (function_declarator declarator: (parenthesized_declarator (pointer_declarator declarator: (array_declarator declarator: (identifier) @name.variable)))))) @definition
(field_declaration declarator: (pointer_declarator declarator: (array_declarator declarator: (field_identifier) @name.field))) @definition
(field_declaration declarator: (array_declarator declarator: (array_declarator declarator: (field_identifier) @name.field))) @definition
(field_declaration declarator: (pointer_declarator declarator: (pointer_declarator declarator: (field_identifier) @name.field))) @definition
(struct_specifier name: (type_identifier) @name.struct body: (_)) @definition
(union_specifier name: (type_identifier) @name.union body: (_)) @definition
(enum_specifier name: (type_identifier) @name.enum body: (_)) @definition
(enumerator name: (identifier) @name.enum_member) @definition
(field_declaration declarator: (field_identifier) @name.field) @definition
(field_declaration declarator: (pointer_declarator declarator: (field_identifier) @name.field)) @definition
(field_declaration declarator: (array_declarator declarator: (field_identifier) @name.field)) @definition
(field_declaration declarator: (function_declarator declarator: (parenthesized_declarator (pointer_declarator declarator: (field_identifier) @name.field)))) @definition
(type_definition declarator: (type_identifier) @name.type) @definition
(type_definition declarator: (pointer_declarator declarator: (type_identifier) @name.type)) @definition
(type_definition declarator: (function_declarator declarator: (parenthesized_declarator (pointer_declarator declarator: (type_identifier) @name.type)))) @definition
(preproc_def name: (identifier) @name.macro) @definition
(preproc_function_def name: (identifier) @name.macro) @definition

(class_specifier name: (type_identifier) @name.class body: (_)) @definition
(class_specifier name: (template_type name: (type_identifier) @name.class) body: (_)) @definition
(namespace_definition name: [(namespace_identifier) (nested_namespace_specifier)] @name.module) @definition
(alias_declaration name: (type_identifier) @name.type) @definition
(concept_definition name: (identifier) @name.type) @definition
(function_definition declarator: (function_declarator declarator: [(field_identifier) (destructor_name) (operator_name)] @name.function)) @definition
(function_definition declarator: (reference_declarator (function_declarator declarator: [(identifier) (field_identifier) (operator_name)] @name.function))) @definition
(function_definition declarator: (pointer_declarator declarator: (function_declarator declarator: (field_identifier) @name.function))) @definition
(function_definition declarator: (function_declarator declarator: (qualified_identifier scope: (_) @container name: [(identifier) (destructor_name) (operator_name)] @name.method))) @definition
(function_definition declarator: (pointer_declarator declarator: (function_declarator declarator: (qualified_identifier scope: (_) @container name: [(identifier) (destructor_name) (operator_name)] @name.method)))) @definition
(function_definition declarator: (reference_declarator (function_declarator declarator: (qualified_identifier scope: (_) @container name: [(identifier) (destructor_name) (operator_name)] @name.method)))) @definition
(function_definition declarator: (function_declarator declarator: (qualified_identifier scope: (_) @container name: (qualified_identifier scope: (_) @container name: [(identifier) (destructor_name) (operator_name)] @name.method)))) @definition
(function_definition declarator: (pointer_declarator declarator: (function_declarator declarator: (qualified_identifier scope: (_) @container name: (qualified_identifier scope: (_) @container name: [(identifier) (destructor_name) (operator_name)] @name.method))))) @definition
(function_definition declarator: (reference_declarator (function_declarator declarator: (qualified_identifier scope: (_) @container name: (qualified_identifier scope: (_) @container name: [(identifier) (destructor_name) (operator_name)] @name.method))))) @definition
(function_definition declarator: (function_declarator declarator: (qualified_identifier scope: (_) @container name: (qualified_identifier scope: (_) @container name: (qualified_identifier scope: (_) @container name: [(identifier) (destructor_name) (operator_name)] @name.method))))) @definition
(field_declaration declarator: (function_declarator declarator: [(field_identifier) (operator_name)] @name.method)) @definition
(field_declaration declarator: (pointer_declarator declarator: (function_declarator declarator: (field_identifier) @name.method))) @definition
(field_declaration declarator: (reference_declarator (function_declarator declarator: [(field_identifier) (operator_name)] @name.method))) @definition
(declaration declarator: (function_declarator declarator: [(destructor_name) (operator_name)] @name.function)) @definition
(field_declaration declarator: (pointer_declarator declarator: (reference_declarator (function_declarator declarator: (field_identifier) @name.method)))) @definition
(function_definition declarator: (pointer_declarator declarator: (reference_declarator (function_declarator declarator: [(identifier) (field_identifier)] @name.function)))) @definition
(function_definition declarator: (function_declarator declarator: (template_function name: (identifier) @name.function))) @definition
(field_declaration declarator: (reference_declarator (field_identifier) @name.field)) @definition
(struct_specifier name: (qualified_identifier name: (template_type name: (type_identifier) @name.struct)) body: (_)) @definition
(struct_specifier name: (template_type name: (type_identifier) @name.struct) body: (_)) @definition
(type_definition declarator: (reference_declarator (type_identifier) @name.type)) @definition
(lambda_expression) @local

; References
(identifier) @reference
(type_identifier) @reference
(field_identifier) @reference
(namespace_identifier) @reference

; Imports
(preproc_include path: [(system_lib_string) (string_literal)] @import.module) @import
